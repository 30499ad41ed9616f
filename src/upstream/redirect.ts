import { getDomain } from 'tldts';
import { GatewayError } from '../model/error.ts';

export const MAX_REDIRECTS = 5;

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * Where a redirect leads, if it may be followed: to the same site (registrable domain, hosting providers' customers kept
 * apart) at the same port, or from http to https at their usual ports; never back to http.
 * Throws `upstream-malformed` for anything else, naming hosts only: paths may hold keys.
 */
export function followRedirect(from: URL, location: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : null;
  if (to === null || !isHttp(to) || to.username !== '' || to.password !== '') {
    throw new GatewayError('upstream-malformed', `${from.host} redirects to what is no plain http(s) address.`);
  }
  if (siteOf(from) !== siteOf(to)) {
    throw new GatewayError(
      'upstream-malformed',
      `${from.host} redirects to ${to.host}, which is another site; set url to it if it is meant.`,
    );
  }
  const isUpgrade = from.protocol === 'http:' && to.protocol === 'https:' && from.port === '' && to.port === '';
  if (!isUpgrade && (from.protocol !== to.protocol || from.port !== to.port)) {
    throw new GatewayError(
      'upstream-malformed',
      `${from.origin} redirects to ${to.origin}, which is another port or less safe; set url to it if it is meant.`,
    );
  }
  return to;
}

/**
 * May a key meant for `meant` be sent to `actual`? To the same host, or one of `hosts`, at the same port and not in the
 * clear when it was meant to be sent over TLS.
 */
export function mayCarryKey(meant: URL, actual: URL, hosts: readonly string[] = []): boolean {
  const isHost = meant.hostname === actual.hostname || hosts.includes(actual.hostname);
  return isHost && meant.port === actual.port && (actual.protocol === 'https:' || meant.protocol === 'http:');
}

function isHttp({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:';
}

/** The registrable domain, or the host where there is none. */
export function siteOf({ hostname }: URL): string {
  return getDomain(hostname, { allowPrivateDomains: true }) ?? hostname;
}
