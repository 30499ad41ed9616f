import { isIPv6 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { pemProblems } from '../model/certificates.ts';
import type { ResolveContext } from './collections.ts';
import type { Config } from './config.ts';
import type { Mark, Step } from './problem.ts';

/** `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (then the host stays as it was); undefined for anything else. */
export function parseListen(text: string): { host: string | null; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, ipv6, name, port] = match;
  if (Number(port) > 65_535 || (ipv6 !== undefined && !isIPv6(ipv6))) return undefined;
  return { host: ipv6 ?? (name === '' || name === undefined ? null : name), port: Number(port) };
}

/** Only this machine can reach it. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  // isValidFourPartDecimal: short forms such as 127.1 mean different addresses to different resolvers.
  if (!isIPv6(host) && !ipaddr.IPv4.isValidFourPartDecimal(host)) return false;
  return ipaddr.parse(host).range() === 'loopback';
}

/**
 * Keys and indicators never cross a network in the clear, and a certificate that cannot serve stops the start.
 * `override` is where the command line's problems are reported, null when the file alone says where to listen.
 */
export function checkListen(listen: Config['listen'], override: Mark | null, context: ResolveContext): void {
  const say: Say = (path, message) => context.report(context.placeOf(path), path, message);
  if (listen.tls === null && !listen.behindProxy && !isLoopback(listen.host)) {
    const why =
      'can be reached from other machines: it needs listen.tls, or listen.behind_proxy: true when a proxy in front ends TLS';
    if (override === null) say(['listen', 'host'], why);
    else context.report(override, [], `--listen: this address ${why}`);
  }
  if (listen.tls !== null) checkTls(listen.tls, say);
}

type Say = (path: Step[], message: string) => void;

function checkTls({ cert, key, clientCa: ca }: NonNullable<Config['listen']['tls']>, say: Say): void {
  for (const { part, message } of pemProblems({ cert, key, ca: ca ?? undefined })) {
    if (part === 'pair') say(['listen', 'tls'], `cert and key ${message}`);
    else say(['listen', 'tls', part === 'ca' ? 'client_ca' : part], message);
  }
}
