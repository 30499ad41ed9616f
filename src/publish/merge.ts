import type { Micros } from '../model/clock.ts';
import { combine, confidenceOf, neededOf, trustedConfidenceOf } from '../model/confidence.ts';
import type { JournalPolicy } from '../model/definition.ts';
import type { Claim } from '../model/entry.ts';
import { greatestOf, leastOf } from '../model/extremes.ts';
import type { JsonObject } from '../model/json.ts';
import type { Observable } from '../model/observable.ts';
import type { ExternalReference, Observation } from '../model/observation.ts';
import { publisherKey } from '../model/publisher.ts';
import type { LeftOutReason } from '../model/served.ts';
import { formatMillis } from '../model/timestamp.ts';
import { isWithin, strictest, type Tlp } from '../model/tlp.ts';
import { creditOf, sourceReferences } from '../stix/external-reference.ts';
import { withOtherMarkings } from '../stix/marking.ts';
import { whoIsHeard } from '../suppress/hearing.ts';
import type { FeedFreshness, JournalContext } from './journals.ts';
import { expiryOf, hasLapsed, seenBy } from './lifetime.ts';
import type { Publishers } from './publisher.ts';

/** What one feed says about an observable. */
export interface FeedObservation {
  feed: string;
  observation: Observation;
  /** It says so of this network, which is over the observable (expand.ts). */
  network?: string;
  /** An analyst saw it then. */
  sightedAt?: Micros;
}

/** What the admitted observations of one observable say together. */
export interface Merged {
  observable: Observable;
  confidence: number | null;
  /** Independent publishers, re-publication counted once. */
  publishers: number;
  tlp: Tlp;
  firstSeen: Micros | null;
  lastSeen: Micros | null;
  validFrom: Micros | null;
  /** Null: nobody limits it. */
  validUntil: Micros | null;
  /** When their confidence falls under the journal's bar, by decay. Null: never. */
  fallsAt: Micros | null;
  /** When the first of those who say it stops to: what is left says less, or too little. Null: nobody does. */
  changesAt: Micros | null;
  name: string | null;
  description: string | null;
  labels: string[];
  references: ExternalReference[];
  claims: Claim[];
  kept: JsonObject | null;
}

/** A feed whose observation doesn't count, and why. */
export interface LeftOutObservation {
  feed: string;
  /** Set where it says so of a network over the address. */
  network?: string;
  reason: LeftOutReason;
}

export interface MergeResult {
  /** Null: no observation counts. */
  merged: Merged | null;
  leftOut: readonly LeftOutObservation[];
}

const NONE: readonly LeftOutObservation[] = [];

/**
 * Merges what a pool's feeds say about one observable, under one journal's policy. Adds to `lapsed` the names of feeds whose lifetime
 * for it is over or held, so that it is looked at again after their next good poll.
 */
export function merge(
  observations: readonly FeedObservation[],
  context: MergeContext,
  now: Micros,
  lapsed?: Set<string>,
): MergeResult {
  const { policy } = context.definition;
  const { admitted, leftOut } = admit(observations, context, now, lapsed);
  const [first] = admitted;
  if (first === undefined) return { merged: null, leftOut };
  const merged = admitted.length === 1 ? mergeOne(first) : mergeSeveral(admitted.sort(byStrength), context.publishers);
  if (policy.minConfidence > 0 && admitted.some(({ feed }) => feed.definition.decay !== undefined)) {
    merged.fallsAt = fallOf(admitted, merged.publishers, policy, now, lapsed);
    merged.validUntil = leastOf(merged.validUntil, merged.fallsAt);
  }
  return { merged, leftOut };
}

type MergeContext = Pick<JournalContext, 'definition' | 'feeds' | 'publishers' | 'suppressors'>;

/**
 * Which observations count, and why the others don't. The ceiling applies before anything is merged, so that what is merged says only
 * what the journal's readers may know.
 */
export function admit(
  observations: readonly FeedObservation[],
  { definition: { policy }, feeds, suppressors }: Pick<MergeContext, 'definition' | 'feeds' | 'suppressors'>,
  now: Micros,
  lapsed?: Set<string>,
): { admitted: Admitted[]; leftOut: readonly LeftOutObservation[] } {
  let leftOut = NONE;
  const all: Admitted[] = [];
  for (const { feed: name, observation: said, network, sightedAt } of observations) {
    const feed = feeds.get(name);
    if (feed === undefined) continue;
    const observation = sightedAt === undefined ? said : seenBy(said, sightedAt);
    const tlp = observation.tlp ?? feed.definition.tlp;
    const expires = expiryOf(observation, feed, now, policy);
    const confidence = trustedConfidenceOf(observation, feed.definition);
    const reason = reasonOf(observation, { tlp, expires }, policy, now);
    const mayLapse = reason === null || reason === 'expired';
    if (lapsed !== undefined && mayLapse && hasLapsed(observation, feed, now, policy)) lapsed.add(name);
    if (reason === null) all.push({ said, observation, network, feed, confidence, tlp, expires });
    else leftOut = [...leftOut, leftOutOf(name, network, reason)];
  }
  const [first] = all;
  const admitted = first === undefined ? all : whoIsHeard(first.observation.observable, all, suppressors);
  if (admitted.length < all.length) {
    const silenced = all.filter((one) => !admitted.includes(one));
    const reasons = silenced.map(({ feed, network }) => leftOutOf(feed.definition.name, network, 'suppressed'));
    leftOut = [...leftOut, ...reasons];
  }
  return { admitted, leftOut };
}

/**
 * When the confidence of all together falls under the journal's bar, as the scores of those that decay fall. Who says it now is taken
 * to go on: when the first of them stops, it is decided again. Null: while any of them says it, it does not fall.
 */
function fallOf(
  admitted: readonly Admitted[],
  publishers: number,
  { minConfidence, maxAge }: JournalPolicy,
  now: Micros,
  lapsed?: Set<string>,
): Micros | null {
  const bar = neededOf(minConfidence, publishers);
  const policy = maxAge === undefined ? { bar } : { bar, maxAge };
  let last: Micros | null = 0;
  for (const { observation, feed, confidence } of admitted) {
    if (confidence === null || confidence < bar) continue;
    const end = expiryOf(observation, feed, now, policy);
    last = end === null || last === null ? null : Math.max(last, end);
    if (hasLapsed(observation, feed, now, policy)) lapsed?.add(feed.definition.name);
  }
  return last;
}

function leftOutOf(feed: string, network: string | undefined, reason: LeftOutReason): LeftOutObservation {
  return { feed, reason, ...(network === undefined ? {} : { network }) };
}

/** Why an observation doesn't count; null: it does. */
function reasonOf(
  { revoked }: Observation,
  { tlp, expires }: Pick<Admitted, 'tlp' | 'expires'>,
  policy: JournalPolicy,
  now: Micros,
): LeftOutReason | null {
  if (!isWithin(tlp, policy.tlp)) return 'above-ceiling';
  if (revoked) return 'revoked';
  return expires !== null && expires <= now ? 'expired' : null;
}

/** An observation that counts, with what its feed's configuration says for rows that say nothing themselves. */
export interface Admitted {
  said: Observation;
  /** The same, last seen when an analyst saw it. */
  observation: Observation;
  network: string | undefined;
  feed: FeedFreshness;
  /** As far as the feed is trusted. */
  confidence: number | null;
  tlp: Tlp;
  expires: Micros | null;
}

/** Nearly every indicator has one source: gives what `mergeSeveral` gives for one, without its lists of lists. */
function mergeOne(one: Admitted): Merged {
  const { observation, confidence, tlp, expires } = one;
  const { observable, firstSeen, lastSeen, validFrom, name, description, labels, kept } = observation;
  return {
    observable,
    confidence,
    publishers: isTrusted(one) ? 1 : 0,
    tlp,
    firstSeen,
    lastSeen,
    validFrom,
    validUntil: expires,
    fallsAt: null,
    changesAt: expires,
    name,
    description,
    labels,
    references: referencesOf([one]),
    claims: [claimOf(one)],
    kept: kept === null ? null : withOtherMarkings(kept, [kept]),
  };
}

/** `admitted` by strength: a property of which there is one comes from the first that has it. */
function mergeSeveral(admitted: readonly Admitted[], { countOf }: Publishers): Merged {
  const observations = admitted.map(({ observation }) => observation);
  const strongest = admitted[0] as Admitted;
  // Whoever passes on what another publishes adds nothing.
  const publishers = countOf(admitted.filter(isTrusted).map(({ observation }) => observation.source.feed_name));
  const ends = admitted.map(({ expires }) => expires);
  const all = <K extends keyof Observation>(name: K) => observations.map((observation) => observation[name]);
  return {
    observable: strongest.observation.observable,
    confidence: combine(strongest.confidence, publishers),
    publishers,
    tlp: admitted.map(({ tlp }) => tlp).reduce(strictest),
    firstSeen: all('firstSeen').reduce(leastOf),
    lastSeen: all('lastSeen').reduce(greatestOf),
    validFrom: all('validFrom').reduce(leastOf),
    validUntil: ends.includes(null) ? null : ends.reduce(greatestOf),
    fallsAt: null,
    changesAt: ends.reduce(leastOf),
    name: all('name').find((name) => name !== null) ?? null,
    description: all('description').find((description) => description !== null) ?? null,
    labels: unite(all('labels')),
    references: referencesOf(admitted),
    claims: admitted.map(claimOf),
    kept: withOtherMarkings(null, all('kept')),
  };
}

/** Does its word add anything? */
export function isTrusted({ feed }: Pick<Admitted, 'feed'>): boolean {
  return feed.definition.trust !== 0;
}

export function byStrength(a: Admitted, b: Admitted): number {
  return (
    (b.confidence ?? -1) - (a.confidence ?? -1) ||
    compareText(a.feed.definition.name, b.feed.definition.name) ||
    // One feed may say an address and networks over it: itself first.
    compareText(a.network ?? '', b.network ?? '')
  );
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Who says it, strongest first, each with what it refers to itself; nothing twice. The credits of their feeds come last. */
function referencesOf(admitted: readonly Admitted[]): ExternalReference[] {
  const unique = new Map<string, ExternalReference>();
  const credits = creditsOf(admitted);
  for (const { observation } of admitted) {
    const sources = sourceReferences(observation);
    if (admitted.length === 1 && observation.references.length === 0) return [...sources, ...credits];
    for (const reference of sources) unique.set(nameOf(reference), reference);
    for (const reference of observation.references) {
      const name = nameOf(reference);
      if (!unique.has(name)) unique.set(name, reference);
    }
  }
  for (const credit of credits) {
    // A row that says as much itself says it once.
    if (unique.get(nameOf(credit))?.description === credit.description) unique.delete(nameOf(credit));
  }
  return [...unique.values(), ...credits];
}

/** Feeds of one publisher ask for one credit. */
function creditsOf(admitted: readonly Admitted[]): ExternalReference[] {
  const credits = new Map<string, ExternalReference>();
  for (const { feed } of admitted) {
    const credit = creditOf(feed.definition);
    if (credit !== null) credits.set(`${credit.source_name}\n${credit.description}`, credit);
  }
  return [...credits.values()];
}

function nameOf({ source_name: source, external_id: id = '', url = '' }: ExternalReference): string {
  return `${publisherKey(source)}\n${id}\n${url}`;
}

export function claimOf({ said: observation, network, feed }: Admitted): Claim {
  // However far the feed is trusted.
  const confidence = confidenceOf(observation, feed.definition);
  const claim: Claim = { feed: feed.definition.name, ...observation.source };
  if (observation.sourceId !== null) claim.id = observation.sourceId;
  if (confidence !== null) claim.confidence = confidence;
  if (observation.firstSeen !== null) claim.first_seen = formatMillis(observation.firstSeen);
  if (observation.lastSeen !== null) claim.last_seen = formatMillis(observation.lastSeen);
  if (observation.techniques.length > 0) claim.techniques = observation.techniques;
  if (network !== undefined) claim.network = network;
  return claim;
}

function unite(lists: readonly string[][]): string[] {
  return [...new Set(lists.flat())].sort();
}
