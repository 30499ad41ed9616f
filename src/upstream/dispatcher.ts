import { type LookupAddress, lookup as resolve } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher, EnvHttpProxyAgent, ProxyAgent } from 'undici';
import type { ConnectionTls } from '../feeds/feed.ts';
import type { ProxySetting } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import { reachOf } from './address-policy.ts';

/**
 * No way into the house: whoever can make us fetch an address (a redirect, a name server, a link in a feed) must not reach
 * what only we can reach. Every request passes here, so every hop of a redirect does. Literal addresses are checked before
 * a connection is thought of, because no lookup is ever made for them; names are checked in the lookup that the connection
 * itself uses, and it gets only addresses that were checked, so a name that changes its mind in between gains nothing.
 */
export interface GuardOptions {
  /** A feed's own host that may be inside: `internal: true`. Null: none. */
  internalHost: string | null;
  /** Through a proxy names are looked up there, and the proxy decides; literal addresses are still checked here. */
  proxy: ProxySetting;
  /** Every address of a name. The system's unless a test scripts it. */
  resolveAll?: ResolveAll | undefined;
  /** What the connection to the upstream itself is made with: a client certificate, authorities. */
  tls?: ConnectionTls | undefined;
}

export type ResolveAll = (
  hostname: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const CONNECT_MS = 10_000;
/** Without headers, or without a further byte of the body. */
const SILENCE_MS = 60_000;
/**
 * Never HTTP/2: undici takes a stream that was reset in mid-body (NO_ERROR, CANCEL, as proxies do it) for one that ended, and
 * half a list would be read as a whole one.
 */
const common = { headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS, allowH2: false };

/** Connections of the feeds that are treated alike. Close it when they are done. */
export function openGuardedDispatcher({ internalHost, proxy, resolveAll, tls = {} }: GuardOptions): Dispatcher {
  const { cert, key, ca } = tls;
  const pem = { cert: cert?.reveal(), key: key?.reveal(), ca: ca?.reveal() };
  const mayBeInternal = (hostname: string): boolean => hostname === internalHost;
  const lookup = guardedLookup(mayBeInternal, resolveAll ?? resolveBySystem);
  const connect = { timeout: CONNECT_MS, lookup, ...pem };
  const through = (): Dispatcher => {
    if (proxy === 'off') return new Agent({ ...common, connect });
    const requestTls = { timeout: CONNECT_MS, allowH2: false, ...pem };
    // What NO_PROXY names is connected to from here, and guarded like everything else.
    if (proxy === 'environment') return new EnvHttpProxyAgent({ ...common, connect, requestTls });
    return new ProxyAgent({ ...common, uri: proxy.reveal(), requestTls });
  };
  return through().compose((dispatch) => (options, handler) => {
    const { hostname } = new URL(String(options.origin));
    const literal = hostname.replace(/^\[(.*)\]$/, '$1');
    if (isIP(literal) !== 0) requireReach(hostname, [literal], mayBeInternal(hostname));
    return dispatch(options, handler);
  });
}

/** `dns.lookup` for one connection: all of the name's addresses or none. */
function guardedLookup(mayBeInternal: (hostname: string) => boolean, resolveAll: ResolveAll): LookupFunction {
  return (hostname, { all, family }, callback) => {
    resolveAll(hostname, (error, addresses) => {
      if (error !== null) return callback(error, '');
      try {
        requireReach(
          hostname,
          addresses.map(({ address }) => address),
          mayBeInternal(hostname),
        );
      } catch (refused) {
        return callback(refused as NodeJS.ErrnoException, '');
      }
      const wanted = family === 4 || family === 'IPv4' ? 4 : family === 6 || family === 'IPv6' ? 6 : 0;
      const usable = wanted === 0 ? addresses : addresses.filter((address) => address.family === wanted);
      const [first] = usable;
      if (first === undefined) {
        callback(Object.assign(new Error(`no address for ${hostname}`), { code: 'ENOTFOUND' }), '');
      } else if (all) callback(null, usable);
      else callback(null, first.address, first.family);
    });
  };
}

/** One bad address among good ones is an attempt, not a mistake to work around. Throws `upstream-failed`. */
function requireReach(hostname: string, addresses: readonly string[], mayBeInternal: boolean): void {
  const reaches = addresses.map(reachOf);
  if (reaches.includes('never')) {
    throw new GatewayError('upstream-failed', `${hostname} is at an address that no feed is read from.`);
  }
  if (reaches.includes('internal') && !mayBeInternal) {
    const message = `${hostname} is at an address inside this network; set internal: true on the feed if it is meant.`;
    throw new GatewayError('upstream-failed', message);
  }
}

function resolveBySystem(hostname: string, callback: Parameters<ResolveAll>[1]): void {
  resolve(hostname, { all: true }, callback);
}
