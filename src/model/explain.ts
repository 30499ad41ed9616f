import type { AnalystVerdict } from './analyst-verdict.ts';
import type { Micros } from './clock.ts';
import type { WithdrawalReason } from './entry.ts';
import type { Observable, ObservableType } from './observable.ts';
import type { LeftOutReason } from './served.ts';
import type { Tlp } from './tlp.ts';

/** Why a value is in collections or isn't: plain JSON, for it crosses a thread and a socket. */
export interface ExplainReport {
  asked: string;
  /** What the value was read as; more than one where its form fits several types and something is known of them. */
  values: ExplainedValue[];
  /** Why it can't be read as a value of any type; null: it can. */
  unreadable: string | null;
  /** Refused rows of feeds that name the value. */
  refused: RefusedRow[];
}

export interface ExplainedValue {
  observable: Observable;
  /** What each feed says now, whether it counts anywhere or not. */
  said: SaidOf[];
  /** What analysts said of it, newest first, those that ended as well. */
  analysts: AnalystVerdict[];
  collections: ExplainedCollection[];
  /** Live networks that hold the address. */
  within: { value: string; collections: string[] }[];
}

/** What one feed says of it. */
export interface SaidOf {
  feed: string;
  /** The publisher that the row names, else the feed's title. */
  publisher: string;
  /** Set where it says so of this network, which holds the address. */
  network?: string;
  id: string | null;
  /** Null: the row says none, and the feed's applies. */
  confidence: number | null;
  tlp: Tlp | null;
  firstSeen: Micros | null;
  lastSeen: Micros | null;
  validUntil: Micros | null;
  revoked: boolean;
  labels: string[];
  /** When the feed first said this, or last changed it. */
  reportedAt: Micros;
}

export interface ExplainedCollection {
  alias: string;
  state: 'live' | 'withdrawn' | 'never';
  /** Why it is not live; null: it is, or nobody says it. */
  reason: LeftOutReason | WithdrawalReason | null;
  /** The same in a sentence or two for a person, with what would change it. */
  why: string;
  /** What those who count say together. Null: nobody counts. */
  merged: ExplainedMerge | null;
  /** The rule of the pool or collection that names the value. Null: none does. */
  rule: ExplainedRule | null;
  /** Feeds that say it and do not count here. */
  leftOut: { feed: string; reason: LeftOutReason }[];
  /** What readers were told, oldest first, for as long as `keep` says. */
  history: ToldEntry[];
}

/** What those who count say together. */
export interface ExplainedMerge {
  confidence: number | null;
  /** Independent ones. */
  publishers: number;
  tlp: Tlp;
  validUntil: Micros | null;
  /** What decay has left of the confidence: `min_confidence` asks for this. */
  score: number | null;
  /** Surest first. */
  inputs: ExplainedInput[];
}

/** A source that counts, and its part in the confidence. */
export interface ExplainedInput {
  feed: string;
  /** It says so of this network, which holds the address. */
  network?: string;
  publisher: string;
  /** As the feed says it; null: it says none. */
  said: number | null;
  /** How far the feed is trusted, 0 to 1. */
  trust: number;
  /** Of what it says, what counts. */
  confidence: number | null;
  /** What decay has left of that. */
  score: number | null;
  /**
   * `independent`: a publisher of its own. `same publisher`: another row of one that is counted. `copy`: its publisher republishes one
   * that is counted. `not trusted`: the feed's `trust` is 0.
   */
  standing: 'independent' | 'same publisher' | 'copy' | 'not trusted';
  /** The publisher that it repeats or may have copied, where it does. */
  of: string | null;
  /** The surest source gives its confidence, each further publisher a little; together they are the confidence. */
  added: number;
}

/** What keeps a value out of a collection or warns of it. */
export interface ExplainedRule {
  mode: 'drop' | 'tag' | 'lower';
  /** Such as `warning list public-dns-v4`. */
  rule: string;
  /** What is listed and matched. */
  entry: string;
  reason: string;
  /** What to write into the configuration to have it served. */
  admit: string;
}

/** An object that stood in the collection, in its last version. */
export interface ToldEntry {
  id: string;
  /** When readers were first told of it. */
  since: Micros;
  /** When they were told of this version. */
  at: Micros;
  confidence: number | null;
  validUntil: Micros | null;
  /** Null: it stands. */
  withdrawn: WithdrawalReason | null;
}

export interface RefusedRow {
  feed: string;
  reason: string;
  detail: string;
  row: string;
  lastAt: Micros;
}

/** Types that may be asked for; null: as the value's form shows. */
export type AskedType = ObservableType | null;
