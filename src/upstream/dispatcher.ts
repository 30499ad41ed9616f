import { type LookupAddress, lookup as resolve } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, type Dispatcher, EnvHttpProxyAgent, ProxyAgent } from 'undici';
import type { ConfiguredFeed, ConnectionTls } from '../feeds/feed.ts';
import type { ProxySetting } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import { classifyAddress } from './address-policy.ts';

/**
 * Dispatchers that apply the address policy (address-policy.ts) to every request, so to every hop of a redirect too. Whoever can make
 * us fetch an address, by a redirect, a name server or a link in a feed, must not reach what only we can reach. A literal address is
 * checked before a connection is opened, because it is never looked up. A name is checked in the lookup of the connection itself,
 * which gets only addresses that were checked: a name that resolves to something else a moment later gains nothing.
 *
 * Of undici's interceptors none is used:
 * - redirect follows to any site, and its requests are not admitted by the budget (send.ts).
 * - decompress bounds the size, but neither the ratio nor how slowly the bytes come (decode-body.ts).
 * - deduplicate sits below the budget: an equal request would be paid for before it is shared (model/single-flight.ts).
 * - retry waits by the machine's clock, and its attempts are not admitted by the budget (fetch.ts).
 * - dns keeps addresses for later connections; here each connection has its own lookup, and all addresses of it are checked.
 * - cache keeps validators apart from the rows they stand for; the store commits both together (upstream.ts).
 */
export interface DispatcherOptions {
  /** The host of a feed with `internal: true`, which may have an internal address. Null: none may. */
  internalHost: string | null;
  /** Behind a proxy names are looked up by the proxy, which then decides. Literal addresses are still checked here. */
  proxy: ProxySetting;
  /** Looks up all addresses of a name. Default: the system. */
  resolveAll?: ResolveAll | undefined;
  /** Client certificate and authorities of the connection to the upstream itself. */
  tls?: ConnectionTls | undefined;
}

export type ResolveAll = (
  hostname: string,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

const CONNECT_MS = 10_000;
/** Time without headers, or without a further byte of the body. */
const SILENCE_MS = 60_000;
/**
 * Never HTTP/2: undici takes a stream that was reset in mid-body (NO_ERROR, CANCEL, as proxies do it) for one that ended, and
 * half a list would be read as a whole one.
 */
const common = { headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS, allowH2: false };

/** Destroy it when its connections are no longer needed. */
export function openGuardedDispatcher({ internalHost, proxy, resolveAll, tls = {} }: DispatcherOptions): Dispatcher {
  const { cert, key, ca } = tls;
  const pem = { cert: cert?.reveal(), key: key?.reveal(), ca: ca?.reveal() };
  const mayBeInternal = (hostname: string): boolean => hostname === internalHost;
  const lookup = guardedLookup(mayBeInternal, resolveAll ?? resolveBySystem);
  const connect = { timeout: CONNECT_MS, lookup, ...pem };
  const open = (): Dispatcher => {
    if (proxy === 'off') return new Agent({ ...common, connect });
    const requestTls = { timeout: CONNECT_MS, allowH2: false, ...pem };
    // Hosts in NO_PROXY are connected to from here, with the guarded lookup.
    if (proxy === 'environment') return new EnvHttpProxyAgent({ ...common, connect, requestTls });
    return new ProxyAgent({ ...common, uri: proxy.reveal(), requestTls });
  };
  return open().compose((dispatch) => (options, handler) => {
    const { hostname } = new URL(String(options.origin));
    const literal = hostname.replace(/^\[(.*)\]$/, '$1');
    const refusal = isIP(literal) === 0 ? null : refusalOf(hostname, [literal], mayBeInternal(hostname));
    if (refusal !== null) throw refusal;
    return dispatch(options, handler);
  });
}

/** `dns.lookup` for one connection. It passes all addresses of a name, or fails when one of them is not allowed. */
function guardedLookup(mayBeInternal: (hostname: string) => boolean, resolveAll: ResolveAll): LookupFunction {
  return (hostname, { all, family }, callback) => {
    resolveAll(hostname, (error, addresses) => {
      if (error !== null) return callback(error, '');
      const literals = addresses.map(({ address }) => address);
      const refusal = refusalOf(hostname, literals, mayBeInternal(hostname));
      if (refusal !== null) return callback(refusal, '');
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

/** Returns `upstream-failed` when a single address is not allowed, because one bad address among good ones is an attack. */
function refusalOf(hostname: string, addresses: readonly string[], mayBeInternal: boolean): GatewayError | null {
  const classes = addresses.map(classifyAddress);
  if (classes.includes('forbidden')) {
    return new GatewayError('upstream-failed', `${hostname} is at an address that no feed is read from.`);
  }
  if (classes.includes('internal') && !mayBeInternal) {
    const message = `${hostname} is at an address inside this network; set internal: true on the feed if it is meant.`;
    return new GatewayError('upstream-failed', message);
  }
  return null;
}

function resolveBySystem(hostname: string, callback: Parameters<ResolveAll>[1]): void {
  resolve(hostname, { all: true }, callback);
}

/** How the requests of a feed are sent. */
export interface Dispatchers {
  /** Equal for feeds that are reached in the same way: proxy, certificates, internal host. */
  key: string;
  plain: Dispatcher;
  /** With the account's certificates, for the hosts that they are meant for. Null: it has none. */
  certified: Dispatcher | null;
}

/** Opens one dispatcher for all feeds that are reached in the same way, when it is first needed. */
export function createDispatchers(resolveAll: ResolveAll | undefined) {
  const opened = new Map<string, Dispatcher>();
  const keyOf = (internalHost: string | null, proxy: ProxySetting, tls: ConnectionTls | undefined): string => {
    const certificates = [tls?.cert, tls?.key, tls?.ca].map((pem) => pem?.fingerprint() ?? null);
    const address = typeof proxy === 'string' ? proxy : `at ${proxy.fingerprint()}`;
    return JSON.stringify([internalHost, address, certificates]);
  };
  const open = (internalHost: string | null, proxy: ProxySetting, tls: ConnectionTls | undefined): Dispatcher => {
    const key = keyOf(internalHost, proxy, tls);
    const dispatcher = opened.get(key) ?? openGuardedDispatcher({ internalHost, proxy, resolveAll, tls });
    opened.set(key, dispatcher);
    return dispatcher;
  };
  return {
    of({ format, options, upstream: { internal, proxy } }: ConfiguredFeed): Dispatchers {
      const account = format.account(options);
      const internalHost = internal && account !== null ? new URL(account.origin).hostname : null;
      return {
        key: keyOf(internalHost, proxy, account?.tls),
        plain: open(internalHost, proxy, undefined),
        certified: account?.tls === undefined ? null : open(internalHost, proxy, account.tls),
      };
    },
    async close(): Promise<void> {
      await Promise.all([...opened.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}
