import type { IndicatorEntry } from '../model/entry.ts';
import { jsonText } from '../model/json.ts';
import { eventLoop } from '../model/turns.ts';
import { type Network, networkOf, networkText } from '../outputs/addresses.ts';

/** Most addresses and networks that are merged with each other: about 200 MB. What comes behind them is merged for itself. */
const MOST = 1_000_000;
/** Networks between two turns of the event loop. */
const PIECE = 20_000;
const SLICE = 500;

/**
 * The fewest networks that hold the same addresses, no more and no fewer; entries of other types pass as they are. A merged network
 * knows of its parts only the least confidence.
 */
export async function* mergeNetworks(slices: AsyncIterable<IndicatorEntry[]>): AsyncGenerator<IndicatorEntry[]> {
  let held: Merging = newMerging();
  for await (const slice of slices) {
    yield slice.filter((entry) => !isAddress(entry));
    for (const entry of slice.filter(isAddress)) add(held, entry);
    if (held.count < MOST) continue;
    yield* mergedEntries(held);
    held = newMerging();
  }
  yield* mergedEntries(held);
}

/** Networks of one family: by prefix length, then by first address, the confidence. Null: none is known. */
type Levels = Map<bigint, number | null>[];

interface Merging {
  ipv4: Levels;
  ipv6: Levels;
  count: number;
  /** Of the first entry: what a merged one can't know is taken from it or is nothing. */
  like: IndicatorEntry | null;
}

function newMerging(): Merging {
  const levels = (bits: number): Levels => Array.from({ length: bits + 1 }, () => new Map());
  return { ipv4: levels(32), ipv6: levels(128), count: 0, like: null };
}

function isAddress({ type }: IndicatorEntry): boolean {
  return type === 'ipv4' || type === 'ipv6';
}

function add(held: Merging, entry: IndicatorEntry): void {
  const { first, prefix } = networkOf(entry.value);
  const levels = held[entry.type === 'ipv6' ? 'ipv6' : 'ipv4'];
  levels[prefix]?.set(first, entry.confidence);
  held.count += 1;
  held.like ??= entry;
}

async function* mergedEntries({ ipv4, ipv6, like }: Merging): AsyncGenerator<IndicatorEntry[]> {
  if (like === null) return;
  const byConfidence = new Map<number, Network[]>();
  for (const levels of [ipv4, ipv6]) {
    await dropCovered(levels);
    await joinHalves(levels);
    await groupByConfidence(levels, byConfidence);
  }
  const strongestFirst = [...byConfidence].sort(([a], [b]) => b - a);
  for (const [confidence, networks] of strongestFirst) {
    for (let at = 0; at < networks.length; at += SLICE) {
      await eventLoop.next();
      yield networks
        .slice(at, at + SLICE)
        .map((network) => entryOf(network, confidence === UNKNOWN ? null : confidence, like));
    }
  }
}

/** Stands for no confidence: the weakest. */
const UNKNOWN = -1;

async function groupByConfidence(levels: Levels, groups: Map<number, Network[]>): Promise<void> {
  const bits = levels.length - 1;
  let looked = 0;
  for (const [prefix, networks] of levels.entries()) {
    for (const [first, confidence] of networks) {
      const group = groups.get(confidence ?? UNKNOWN) ?? [];
      groups.set(confidence ?? UNKNOWN, group);
      group.push({ first, bits, prefix });
      looked += 1;
      if (looked % PIECE === 0) await eventLoop.next();
    }
  }
}

/** Takes out networks that lie in another. */
async function dropCovered(levels: Levels): Promise<void> {
  const bits = levels.length - 1;
  let looked = 0;
  const wider: number[] = [];
  for (const [prefix, networks] of levels.entries()) {
    for (const first of networks.keys()) {
      if (wider.some((each) => levels[each]?.has(cut(first, each, bits)))) networks.delete(first);
      looked += 1;
      if (looked % PIECE === 0) await eventLoop.next();
    }
    if (networks.size > 0) wider.push(prefix);
  }
}

/** Makes one network of two that are its halves, the smallest first. No network lies in another, so no address is added. */
async function joinHalves(levels: Levels): Promise<void> {
  const bits = levels.length - 1;
  let looked = 0;
  for (let prefix = bits; prefix > 0; prefix -= 1) {
    const networks = levels[prefix] ?? new Map();
    const half = 1n << BigInt(bits - prefix);
    for (const [first, confidence] of networks) {
      looked += 1;
      if (looked % PIECE === 0) await eventLoop.next();
      const other = first ^ half;
      const otherConfidence = networks.get(other);
      if (otherConfidence === undefined) continue;
      networks.delete(first);
      networks.delete(other);
      levels[prefix - 1]?.set(first < other ? first : other, weaker(confidence, otherConfidence));
    }
  }
}

/** The first address of the network of this prefix length over an address. */
function cut(address: bigint, prefix: number, bits: number): bigint {
  const free = BigInt(bits - prefix);
  return (address >> free) << free;
}

function weaker(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.min(a, b);
}

/** It says its network and its confidence, and nothing that one of its parts said. */
function entryOf(network: Network, confidence: number | null, like: IndicatorEntry): IndicatorEntry {
  return {
    ...like,
    type: network.bits === 32 ? 'ipv4' : 'ipv6',
    value: networkText(network),
    confidence,
    name: null,
    description: null,
    labels: null,
    references: null,
    sources: jsonText([]),
    kept: null,
    firstSeen: null,
    lastSeen: null,
    validUntil: null,
  };
}
