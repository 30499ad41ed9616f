import { getDomain } from 'tldts';
import { GatewayError } from '../model/error.ts';

export const MAX_REDIRECTS = 5;

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * Returns the target of a redirect that may be followed: one at the same site (registrable domain, with the customers of hosting
 * providers as sites of their own) and the same port, or from http to https at their default ports, never back to http.
 * Throws `upstream-malformed` for any other, with hosts only: paths may hold keys.
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

/** A redirect led to a host that what holds the key may not be sent to. */
export function keyWithheld(host: string): GatewayError {
  const message = `A redirect led to ${host}, which is not given the key; set url to it if it is meant.`;
  return new GatewayError('upstream-unauthorized', message);
}

function isHttp({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:';
}

/** Returns the registrable domain, or the host where there is none. */
export function siteOf({ hostname }: URL): string {
  return getDomain(hostname, { allowPrivateDomains: true }) ?? hostname;
}
