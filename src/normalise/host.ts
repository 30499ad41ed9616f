import { domainToASCII } from 'node:url';
import { parse as parseHost } from 'tldts';
import { parseIpv4, parseIpv6 } from './address.ts';
import { badValue, isRefusal, type Parsed, parsePort, type Refusal } from './parsed.ts';
import { refang, refangUrl } from './refang.ts';

/** Host names, URLs and e-mail addresses. */

/**
 * At least two labels of letters, digits, hyphens and, as DNS has them in the wild, underscores; a last label that is no
 * number, so that no mistyped address becomes a name (RFC 1123 section 2.1, RFC 2181 section 11).
 */
const HOST = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$/;
const MAX_HOST = 253;
const MAX_URL = 4096;

/** A host name in lower case and punycode, without a trailing dot; null for what is no host name. */
function canonicalHost(text: string): string | null {
  let host = text.toLowerCase();
  if (/[^\u0021-\u007e]/.test(host)) host = domainToASCII(host);
  if (host.endsWith('.')) host = host.slice(0, -1);
  return host.length <= MAX_HOST && HOST.test(host) ? host : null;
}

const suffixOptions = { extractHostname: false, validateHostname: false, detectIp: false, allowPrivateDomains: false };

/** A domain name. A public suffix such as `co.uk` is refused: nobody owns it, and blocking it would block a country. */
export function parseDomain(text: string): Parsed {
  const plain = refang(text);
  const behind = /^([^:|]+)[:|](\d{1,5})$/.exec(plain);
  const host = canonicalHost(behind?.[1] ?? plain);
  if (host === null) return badValue('not a domain name');
  if (parseHost(host, suffixOptions).domain === null) return badValue('a public suffix, not a domain');
  const observable = { type: 'domain', value: host } as const;
  if (behind === null) return { observable };
  const port = parsePort(behind[2] ?? '');
  return port === null ? badValue(`port ${behind[2]}`) : { observable, port };
}

/** Does the name end in a suffix of the Public Suffix List? Only then a value without a type is taken for a domain. */
export function hasKnownSuffix(host: string): boolean {
  const { isIcann, isPrivate } = parseHost(host, { ...suffixOptions, allowPrivateDomains: true });
  return isIcann === true || isPrivate === true;
}

const ABSOLUTE = /^([a-z][a-z0-9+.-]*):\/\//i;
/** WHATWG URL section 3.1; `file` is about this machine and `mailto` and the like have no `//`. */
const special = new Set(['http', 'https', 'ftp', 'ws', 'wss']);
const OTHER_URL =
  /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#@]*)@)?(\[[\da-f:.]+\]|[^/?#:@[\]]+)(?::(\d{1,5}))?(?=[/?#]|$)(.*)$/i;

/**
 * An absolute URL as the WHATWG URL standard writes it: lower-case scheme and host, punycode, no default port, percent-encoding
 * where it is due; path, query and fragment keep their case.
 */
export function parseUrl(text: string): Parsed {
  const plain = refangUrl(text);
  const scheme = ABSOLUTE.exec(plain)?.[1]?.toLowerCase();
  if (scheme === undefined) return badValue('a URL needs its scheme');
  const read = special.has(scheme) ? specialHref(plain) : otherHref(plain);
  if (typeof read !== 'string') return read;
  const href = withoutQuotes(read);
  if (href.length > MAX_URL)
    return { reason: 'too-long', detail: `a URL of ${href.length} characters, more than ${MAX_URL}` };
  return { observable: { type: 'url', value: href } };
}

/**
 * Writes an apostrophe as `%27`. RFC 3986 section 2.2 allows both, and the URL standard encodes it in queries only. With one
 * spelling both are one URL, and no pattern needs the escape `\'`, at which some readers (XSOAR) cut a URL.
 */
function withoutQuotes(href: string): string {
  return href.includes("'") ? href.replaceAll("'", '%27') : href;
}

function specialHref(text: string): string | Refusal {
  const url = URL.parse(text);
  if (url === null) return badValue('not a valid URL');
  if (url.hostname.startsWith('[') || /^[\d.]+$/.test(url.hostname)) return url.href;
  const host = canonicalHost(url.hostname);
  if (host === null) return badValue(`a URL without a full host name: ${url.hostname.slice(0, 80)}`);
  if (host !== url.hostname) url.hostname = host;
  return url.href;
}

/** For schemes that the URL standard does not know, it leaves the host as it is written: it is made canonical here. */
function otherHref(text: string): string | Refusal {
  const [, scheme = '', user, host = '', port, rest = ''] = OTHER_URL.exec(text) ?? [];
  if (scheme.toLowerCase() === 'file') return badValue('a path on a local machine');
  const canonical = host.startsWith('[') ? bracketed(host) : (ipv4Or(host) ?? canonicalHost(host));
  if (canonical === null) return badValue('not a valid URL');
  const login = user === undefined ? '' : `${user}@`;
  const href = URL.parse(`${scheme}://${login}${canonical}${port === undefined ? '' : `:${port}`}${rest}`)?.href;
  return href ?? badValue('not a valid URL');
}

function bracketed(host: string): string | null {
  const parsed = parseIpv6(host);
  if (isRefusal(parsed)) return null;
  const { type, value } = parsed.observable;
  return type === 'ipv4' ? value : `[${value}]`;
}

function ipv4Or(host: string): string | null {
  const parsed = parseIpv4(host);
  return isRefusal(parsed) || parsed.port !== undefined ? null : parsed.observable.value;
}

/** RFC 5321 section 4.1.2 Dot-string and Quoted-string, letters of any script (RFC 6531). */
const LOCAL = /^(?:[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+)*|"[^"\\\p{C}]{1,62}")$/u;
const MAX_LOCAL = 64;

/** An e-mail address with a canonical domain. The local part is case-sensitive and is kept (RFC 5321 section 2.4). */
export function parseEmail(text: string): Parsed {
  const plain = refangEmail(text);
  const at = plain.lastIndexOf('@');
  const local = plain.slice(0, Math.max(0, at)).normalize('NFC');
  const host = canonicalHost(plain.slice(at + 1));
  if (host === null || local.length > MAX_LOCAL || !LOCAL.test(local)) return badValue('not an e-mail address');
  return { observable: { type: 'email', value: `${local}@${host}` } };
}

/** Braces may be part of a local part, so only separators in brackets or parentheses are refanged. */
function refangEmail(text: string): string {
  if (!/[[(]/.test(text)) return text;
  return text.replace(/[[(]\s?(?:@|at)\s?[\])]/gi, '@').replace(/[[(]\s?(?:\.|dot)\s?[\])]/gi, '.');
}
