import type { Dispatcher } from 'undici';
import type { FeedAccount } from '../feeds/feed.ts';
import { mayCarryKey } from './redirect.ts';

/** What a connection is made with besides the usual. */
export interface ConnectOptions {
  cert?: string;
  key?: string;
  ca?: string;
}

/** One per set of certificates: as many as the configuration names. */
const dispatchers = new Map<string, Dispatcher>();

/**
 * How an account with certificates of its own reaches `url`; null for the usual way. A redirect that leads to where a key
 * would not be sent gets the usual way too: neither who we are nor whom we trust is that host's business.
 */
export function withCertificates(
  { tls }: FeedAccount,
  meant: URL,
  url: URL,
  open: (connect: ConnectOptions) => Dispatcher,
): Dispatcher | null {
  if (tls === undefined || url.protocol !== 'https:' || !mayCarryKey(meant, url, tls.hosts)) return null;
  const { cert, key, ca } = tls;
  const name = [cert, key, ca].map((pem) => pem?.fingerprint() ?? '').join(' ');
  const known = dispatchers.get(name);
  if (known !== undefined) return known;
  const made = open({
    ...(cert === undefined ? {} : { cert: cert.reveal() }),
    ...(key === undefined ? {} : { key: key.reveal() }),
    ...(ca === undefined ? {} : { ca: ca.reveal() }),
  });
  dispatchers.set(name, made);
  return made;
}
