import ipaddr from 'ipaddr.js';

/** Addresses as what sorts: IPv4 as a number, IPv6 as 32 hex digits. */
export type Address = number | string;

/** The first and the last address of an address or a network. */
export interface Span<T extends Address> {
  first: T;
  last: T;
}

/** Networks of one list, sorted, none inside another: what lies in one of them is found by halving. */
export interface Ranges<T extends Address> {
  firsts: readonly T[];
  lasts: readonly T[];
  entries: readonly string[];
}

export function rangesOf<T extends Address>(networks: readonly (Span<T> & { entry: string })[]): Ranges<T> {
  // The wider before those inside it.
  const sorted = networks.toSorted((a, b) => compare(a.first, b.first) || compare(b.last, a.last));
  const [firsts, lasts, entries]: [T[], T[], string[]] = [[], [], []];
  for (const { first, last, entry } of sorted) {
    const before = lasts.at(-1);
    if (before !== undefined && last <= before) continue;
    firsts.push(first);
    lasts.push(last);
    entries.push(entry);
  }
  return { firsts, lasts, entries };
}

/** The entry that a span lies in; with `overlaps`, one that it has a part of. Null: none. */
export function findIn<T extends Address>(
  { firsts, lasts, entries }: Ranges<T>,
  { first, last }: Span<T>,
  overlaps: boolean,
): string | null {
  const at = lastUpTo(firsts, overlaps ? last : first);
  const end = lasts[at];
  if (end === undefined || end < (overlaps ? first : last)) return null;
  return entries[at] ?? null;
}

/** The place of the last of the sorted values that is not after `value`; -1: all are. */
export function lastUpTo<T extends Address>(
  sorted: { readonly length: number; readonly [i: number]: T },
  value: T,
): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((sorted[middle] as T) <= value) from = middle + 1;
    else to = middle;
  }
  return from - 1;
}

function compare(a: Address, b: Address): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The span of an IPv6 address or network. */
export function spanOf6(value: string): Span<string> {
  const [address = '', bits = '128'] = value.split('/');
  const bytes = ipaddr.IPv6.parse(address).toByteArray();
  const last = [...bytes];
  for (let bit = Number(bits); bit < 128; bit += 1) last[bit >> 3] = (last[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return { first: Buffer.from(bytes).toString('hex'), last: Buffer.from(last).toString('hex') };
}
