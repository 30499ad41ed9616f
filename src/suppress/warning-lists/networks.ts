import { spanOf4 } from '../../model/ipv4-span.ts';
import type { WarningList } from './list.ts';
import { type Address, findIn, lastUpTo, type Ranges, rangesOf, type Span, spanOf6 } from './ranges.ts';

/** What of a list a value is, or lies in. `list`: its place among the lists. */
export interface Hit {
  list: number;
  entry: string;
}

export const NO_HITS: readonly Hit[] = [];

/**
 * Compiles all `cidr` and `prefix` lists, so that one search in sorted numbers says that an address is on none of them. Returns the
 * search for a canonical address or network.
 */
export function compileNetworks(lists: readonly WarningList[]): (value: string) => readonly Hit[] {
  const four = familyOf(lists, (entry) => !entry.includes(':'), spanOf4);
  const six = familyOf(lists, (entry) => entry.includes(':'), spanOf6);
  const whichLists = segmentsOf(four);
  const [all4, all6] = [used(four), used(six)];
  return (value) => {
    const slash = value.indexOf('/');
    const bits = slash < 0 ? null : Number(value.slice(slash + 1));
    if (value.includes(':')) return hitsIn(six, all6, spanOf6(value), bits);
    const span = spanOf4(value);
    const candidates = bits === null ? whichLists(span.first) : all4;
    return candidates === NO_LISTS ? NO_HITS : hitsIn(four, candidates, span, bits);
  };
}

/** A list's networks of one kind of address, and the shortest prefix that it allows there. */
interface Family<T extends Address> {
  ranges: Ranges<T>;
  overlaps: boolean;
  shortest: { bits: number; entry: string } | null;
}

function familyOf<T extends Address>(
  lists: readonly WarningList[],
  isOfKind: (entry: string) => boolean,
  spanOf: (entry: string) => Span<T>,
): Family<T>[] {
  return lists.map(({ type, entries, overlaps = false }) => {
    const own = type === 'cidr' || type === 'prefix' ? entries.filter(isOfKind) : [];
    const [prefix] = type === 'prefix' ? own : [];
    return {
      ranges: rangesOf(type === 'cidr' ? own.map((entry) => ({ ...spanOf(entry), entry })) : []),
      overlaps,
      shortest: prefix === undefined ? null : { bits: Number(prefix.split('/')[1]), entry: prefix },
    };
  });
}

/** Places of the lists that have networks of this kind. */
function used(families: readonly Family<Address>[]): number[] {
  return families.flatMap(({ ranges }, list) => (ranges.firsts.length === 0 ? [] : [list]));
}

function hitsIn<T extends Address>(
  families: readonly Family<T>[],
  candidates: readonly number[],
  span: Span<T>,
  bits: number | null,
): readonly Hit[] {
  const hits: Hit[] = [];
  for (const list of candidates) {
    const family = families[list];
    const entry = family === undefined ? null : findIn(family.ranges, span, family.overlaps);
    if (entry !== null) hits.push({ list, entry });
  }
  if (bits === null) return hits;
  families.forEach(({ shortest }, list) => {
    if (shortest !== null && bits < shortest.bits) hits.push({ list, entry: shortest.entry });
  });
  return hits;
}

const NO_LISTS: readonly number[] = [];
/** More than there are lists: a list's place and whether a range begins or ends are told beside the address in one number. */
const PLACES = 1024;

/**
 * Cuts the IPv4 space where a listed network begins or ends, and returns which lists name an address: the lists of the piece that it
 * lies in. Sets of lists are few and kept once.
 */
function segmentsOf(families: readonly Family<number>[]): (address: number) => readonly number[] {
  const starts: number[] = [];
  const sets: (readonly number[])[] = [];
  const known = new Map<string, readonly number[]>([['', NO_LISTS]]);
  const open = new Set<number>();
  for (const event of edgesOf(families)) {
    const place = Math.floor(event / 2);
    const [address, list] = [Math.floor(place / PLACES), place % PLACES];
    if (event % 2 === 0) open.delete(list);
    else open.add(list);
    const name = [...open].join();
    const set = known.get(name) ?? [...open];
    known.set(name, set);
    if (starts.at(-1) === address) sets[sets.length - 1] = set;
    else {
      starts.push(address);
      sets.push(set);
    }
  }
  const sorted = Float64Array.from(starts);
  return (address) => sets[lastUpTo(sorted, address)] ?? NO_LISTS;
}

/**
 * Where networks begin and where the first address behind them is, as sorted numbers: address, list, and which of the two. Where one
 * network begins behind another of its list, the end comes first.
 */
function edgesOf(families: readonly Family<number>[]): Float64Array {
  const edges = new Float64Array(2 * families.reduce((sum, { ranges }) => sum + ranges.firsts.length, 0));
  let at = 0;
  families.forEach(({ ranges: { firsts, lasts } }, list) => {
    firsts.forEach((first, i) => {
      edges[at] = (first * PLACES + list) * 2 + 1;
      edges[at + 1] = (((lasts[i] ?? first) + 1) * PLACES + list) * 2;
      at += 2;
    });
  });
  return edges.sort();
}
