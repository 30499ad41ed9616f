import { isIPv6 } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { RouteParts } from '../parts.ts';

/** `host[:port]` (RFC 9110 section 7.2): a name, an IPv4 address or an IPv6 address in brackets. */
const HOST = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?|\[([0-9A-Fa-f:.]{2,45})\])(?::(\d{1,5}))?$/;

/**
 * Returns scheme, host and port under which the client reaches the gateway: `public_url`, else from the request; null where unknown. The host
 * comes from the client, so only its form is checked, and only this client gets it back.
 */
export function originOf(
  { headers, protocol }: FastifyRequest,
  { publicUrl, trustProxy }: Pick<RouteParts, 'publicUrl' | 'trustProxy'>,
): string | null {
  if (publicUrl !== null) return publicUrl;
  if (!trustProxy) return isHost(headers.host) ? `${protocol}://${headers.host}` : null;
  // Without this field, Host may be a name that only the proxy can reach.
  const host = lastOf(headers['x-forwarded-host']);
  // The proxy ends TLS unless it says otherwise.
  const scheme = lastOf(headers['x-forwarded-proto']) === 'http' ? 'http' : 'https';
  return isHost(host) ? `${scheme}://${host}` : null;
}

function isHost(text: string | undefined): text is string {
  const match = text === undefined ? null : HOST.exec(text);
  if (match === null) return false;
  const [, ipv6, port] = match;
  return (ipv6 === undefined || isIPv6(ipv6)) && (port === undefined || Number(port) <= 65_535);
}

/** The entry that the one proxy in front wrote; entries before it may be any client's invention. */
function lastOf(field: string | string[] | undefined): string | undefined {
  return [field ?? []].flat().join(',').split(',').at(-1)?.trim();
}
