import { isIPv6 } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { RouteParts } from '../parts.ts';

/** `host[:port]` (RFC 9110 section 7.2): a name, an IPv4 address or an IPv6 address in brackets. */
const HOST = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?|\[([0-9A-Fa-f:.]{2,45})\])(?::(\d{1,5}))?$/;

/**
 * Scheme, host and port under which this client reaches the gateway: what the configuration says, else what the request was sent to.
 * Null where that isn't known. The host is the client's own word, so only its form is trusted, and only this client is told it.
 */
export function originOf(
  { headers, protocol }: FastifyRequest,
  { publicUrl, trustProxy }: Pick<RouteParts, 'publicUrl' | 'trustProxy'>,
): string | null {
  if (publicUrl !== null) return publicUrl;
  if (!trustProxy) return isHost(headers.host) ? `${protocol}://${headers.host}` : null;
  // Without this header Host may be the name that the proxy has for the gateway, where no client gets to.
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

/** What the one proxy in front wrote itself; what stands before it, any client may have written. */
function lastOf(field: string | string[] | undefined): string | undefined {
  return [field ?? []].flat().join(',').split(',').at(-1)?.trim();
}
