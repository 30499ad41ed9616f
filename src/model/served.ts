import type { ObservableKey, ObservableType } from './observable.ts';

/**
 * Why an observation or object that the store holds is left out of a journal: the first reason that applies, in this order. The
 * ceiling comes first, then what the feed itself says, what analysts say, the journal's policy and its profile. For objects that a
 * journal doesn't take, nothing else is checked.
 */
export const leftOutReasons = [
  'above-ceiling',
  'revoked',
  'expired',
  'false-positive',
  'suppressed',
  'type-not-taken',
  'objects-not-taken',
  'not-for-elastic',
  'below-confidence',
  'too-few-sources',
  'label-not-taken',
  'end-not-served',
  'expanded',
  'superseded',
] as const;
export type LeftOutReason = (typeof leftOutReasons)[number];

/** What is counted: observations by type, STIX objects that are passed on, and marking definitions, which every collection shows. */
export type ServedKind = ObservableType | 'object' | 'marking';

/** How many of a feed's observations and objects are live in a journal (`reason` null) or left out of it. */
export interface ServedCount {
  journal: string;
  feed: string;
  kind: ServedKind;
  reason: LeftOutReason | null;
  rows: number;
}

/** An observation that a journal leaves out. */
export interface LeftOut {
  feed: string;
  key: ObservableKey;
  type: ObservableType;
  reason: LeftOutReason;
}

/** The verdict on an object in a journal; `reason` null: it is live. */
export interface ObjectVerdict {
  feed: string;
  id: string;
  kind: 'object' | 'marking';
  reason: LeftOutReason | null;
}

/** A row that a journal leaves out, for a person. */
export interface LeftOutRow {
  kind: ServedKind;
  /** The canonical value, or the object's id. */
  value: string;
  reason: LeftOutReason;
}

/** What a collection serves of one feed, and what it leaves out. */
export interface Served {
  live: number;
  leftOut: { reason: LeftOutReason; kind: ServedKind; rows: number }[];
}

interface ServedCollection {
  journal: string;
  /** The types that it shows; null: all. */
  types: readonly ObservableType[] | null;
}

/** Returns what a collection serves of a feed. It leaves out what its journal leaves out, and types that it does not name. */
export type ServedIn = (feed: string, collection: ServedCollection) => Served;

/** Indexes counts by feed and journal. */
export function indexServed(counts: readonly ServedCount[]): ServedIn {
  const byFeed = new Map<string, ServedCount[]>();
  for (const count of counts) {
    const name = `${count.feed} ${count.journal}`;
    const known = byFeed.get(name);
    if (known === undefined) byFeed.set(name, [count]);
    else known.push(count);
  }
  return (feed, { journal, types }) => {
    const served: Served = { live: 0, leftOut: [] };
    for (const { kind, reason, rows } of byFeed.get(`${feed} ${journal}`) ?? []) {
      if (reason !== null) served.leftOut.push({ reason, kind, rows });
      else if (isShown(kind, types)) served.live += rows;
      else served.leftOut.push({ reason: 'type-not-taken', kind, rows });
    }
    served.leftOut.sort(
      (a, b) => orderOf(a.reason) - orderOf(b.reason) || b.rows - a.rows || (a.kind < b.kind ? -1 : 1),
    );
    return served;
  };
}

function isShown(kind: ServedKind, types: ServedCollection['types']): boolean {
  return types === null || kind === 'marking' || (kind !== 'object' && types.includes(kind));
}

function orderOf(reason: LeftOutReason): number {
  return leftOutReasons.indexOf(reason);
}

/** Rows by reason, in the order of the reasons. */
export function byReason(leftOut: Served['leftOut']): Partial<Record<LeftOutReason, number>> {
  const sums: Partial<Record<LeftOutReason, number>> = {};
  for (const { reason, rows } of leftOut) sums[reason] = (sums[reason] ?? 0) + rows;
  return sums;
}
