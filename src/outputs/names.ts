import Type from 'typebox';

/** Host names and URLs as DNS servers, browsers' filters and firewalls write them. */

/** RFC 1035 section 2.3.4, with the underscore; two labels at least, because a name of one would stand for all names below it. */
const NAME = /^(?=.{3,253}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)+$/;

/** Is it a host name in canonical form? Others could mean something else where they are read. */
export function isName(value: string): boolean {
  return NAME.test(value);
}

export interface SubdomainOptions {
  subdomains: boolean;
}

export function subdomainOption(isUsual: boolean) {
  return Type.Boolean({ default: isUsual, description: 'the names below a domain are meant as well.' });
}

/** Scheme, user, host, port, and the rest. */
const URL_PARTS =
  /^([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#@]*@)?(\[[0-9a-f:.]+\]|[^/?#:[\]]+)(:\d{1,5})?([/?][^#]*)?(?:#.*)?$/;
/** What no URL holds unescaped (RFC 3986 appendix A). */
const STRANGE = /[^\x21-\x7e]|["<>\\^`{|}]/;

export interface UrlForm {
  scheme: boolean;
  port: boolean;
}

/**
 * A URL without user and fragment, which no gateway sees, and without scheme or port where they are not wanted. Null for a text that is
 * no canonical URL.
 */
export function urlText(value: string, { scheme, port }: UrlForm): string | null {
  const [, ownScheme, host, ownPort = '', rest = '/'] = URL_PARTS.exec(value) ?? [];
  if (ownScheme === undefined || host === undefined || STRANGE.test(value)) return null;
  return `${scheme ? ownScheme : ''}${host}${port ? ownPort : ''}${rest}`;
}

/** Is it a mailbox of plain characters? Others begin a formula, an escape or a field where they are read. */
export function isMailbox(value: string): boolean {
  const at = value.lastIndexOf('@');
  return (
    /^[\p{L}\p{N}_][\p{L}\p{N}_.+'&-]{0,63}$/u.test(value.slice(0, Math.max(0, at))) && isName(value.slice(at + 1))
  );
}
