import { hostOf } from '../model/host.ts';
import { networkOver, networksOver } from '../model/networks-over.ts';
import type { Observable } from '../model/observable.ts';

/**
 * Compiles the entries of an operator's list into a search, and returns it: the entry that covers an observable, or null. An address or
 * a network covers itself and what lies in it, a domain itself and all names below it. A URL is covered by its host, an e-mail address
 * by its domain. Every other entry covers the same value. `entries`: canonical.
 */
export function coveringOf(entries: readonly string[]): (observable: Observable) => string | null {
  const listed = new Set(entries);
  const prefixes = {
    ipv4: prefixesOf(entries.filter((entry) => !entry.includes(':'))),
    ipv6: prefixesOf(entries.filter((entry) => entry.includes(':'))),
  };

  /** The listed network over an address or network, or that itself. */
  const findNetwork = (value: string): string | null => {
    if (listed.has(value)) return value;
    const type = value.includes(':') ? 'ipv6' : 'ipv4';
    const [address = '', bits] = value.split('/');
    const longest = bits === undefined ? Number.POSITIVE_INFINITY : Number(bits);
    for (const prefix of prefixes[type]) {
      const network = prefix > longest ? null : networkOver(address, prefix);
      if (network !== null && listed.has(network)) return network;
    }
    return null;
  };
  /** The listed domain that a host name is or stands below. */
  const findDomain = (host: string): string | null => {
    for (let name = host; name.includes('.'); name = name.slice(name.indexOf('.') + 1)) {
      if (listed.has(name)) return name;
    }
    return null;
  };
  return (observable) => {
    const { type, value } = observable;
    const host = hostOf(observable);
    if (host !== null) {
      const found = host.kind === 'name' ? findDomain(host.name) : findNetwork(host.network);
      if (found !== null) return found;
    }
    return exactTypes.has(type) && listed.has(value) ? value : null;
  };
}

/** All entries that would cover an observable, in the sense of `coveringOf`: itself, the networks over its host, its host's domains. */
export function* entriesOver(observable: Observable): Generator<Observable> {
  const { type, value } = observable;
  if (exactTypes.has(type)) yield { type, value };
  const host = hostOf(observable);
  if (host === null) return;
  if (host.kind === 'name') {
    for (let name = host.name; name.includes('.'); name = name.slice(name.indexOf('.') + 1)) {
      yield { type: 'domain', value: name };
    }
    return;
  }
  const { network } = host;
  yield { type: network.includes(':') ? 'ipv6' : 'ipv4', value: network };
  yield* networksOver(network);
}

/** Types of which a value stands for itself. What looks like a domain or an address and is neither is covered by no entry. */
const exactTypes = new Set<Observable['type']>(['url', 'email', 'md5', 'sha1', 'sha256', 'sha512']);

/** The prefix lengths of the networks among these. */
function prefixesOf(entries: readonly string[]): number[] {
  return [...new Set(entries.flatMap((entry) => PREFIX.exec(entry)?.[1] ?? []).map(Number))];
}

const PREFIX = /^[\da-f.:]+\/(\d+)$/;
