import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import type { ObservableKey } from '../model/observable.ts';
import { stricter, type Tlp } from '../model/tlp.ts';
import { markingId, otherMarkingsOf, type TlpVersion, tlpOfId } from '../stix/marking.ts';
import { tlpOfDefinition } from '../stix/marking-definition.ts';
import type { Transaction } from '../store/store.ts';
import type { FeedObservation } from './merge.ts';

/**
 * The levels of markings that are known only by their definitions. A feed's definitions count, whenever they came,
 * for its own rows only: no feed can loosen what another feed marked.
 *
 * A marking whose definition never came may be a licence or a level. It counts as red until it is known, so that rows which
 * come before their definition are not shown to readers who may not see them.
 */
export interface Definitions {
  /** The level that a feed's marking stands for; null for a statement, undefined for one that isn't known. */
  of(feed: string, ref: string): Tlp | null | undefined;
}

const NONE: Definitions = { of: () => undefined };

/** Reads the definitions of these markings, as these feeds hold them. */
export async function readDefinitions(
  tx: Transaction,
  feeds: readonly string[],
  refs: ReadonlySet<string>,
): Promise<Definitions> {
  if (refs.size === 0) return NONE;
  const levels = new Map<string, Tlp | null>();
  for (const { feed, id, raw } of await tx.objectsById(feeds, [...refs])) {
    levels.set(`${feed} ${id}`, tlpOfDefinition(raw));
  }
  return { of: (feed, ref) => levels.get(`${feed} ${ref}`) };
}

/** The strictest level that a feed's markings stand for: null for statements alone, red where one isn't known. */
export function levelOf(feed: string, refs: readonly string[], definitions: Definitions): Tlp | null {
  return refs.reduce<Tlp | null>((level, ref) => {
    const meant = definitions.of(feed, ref);
    return stricter(level, meant === undefined ? 'red' : meant);
  }, null);
}

/**
 * Returns an object with its TLP markings, of whatever publisher and version, replaced by those of this version, which stand in every
 * journal. A marking without a definition stays, with TLP:RED beside it.
 */
export function translate(raw: JsonObject, feed: string, definitions: Definitions, version: TlpVersion): JsonObject {
  const { object_marking_refs: refs, granular_markings: parts } = raw;
  const translated = (ref: Json | undefined): Json[] => {
    if (typeof ref !== 'string') return ref === undefined ? [] : [ref];
    const level = tlpOfId(ref) ?? definitions.of(feed, ref);
    if (level === undefined) return [ref, markingId('red', version)];
    return [level === null ? ref : markingId(level, version)];
  };
  const changed: JsonObject = {};
  if (Array.isArray(refs)) changed['object_marking_refs'] = [...new Set(refs.flatMap(translated))];
  if (Array.isArray(parts)) {
    changed['granular_markings'] = parts.flatMap((part) =>
      isJsonObject(part) && part['marking_ref'] !== undefined
        ? translated(part['marking_ref']).map((ref) => ({ ...part, marking_ref: ref }))
        : [part],
    );
  }
  return refs === undefined && parts === undefined ? raw : { ...raw, ...changed };
}

/** Returns the observations with the levels that their markings stand for; of those markings only statements are left. */
export async function resolveMarkings(
  tx: Transaction,
  observations: ReadonlyMap<ObservableKey, readonly FeedObservation[]>,
): Promise<ReadonlyMap<ObservableKey, readonly FeedObservation[]>> {
  const [feeds, refs] = [new Set<string>(), new Set<string>()];
  for (const all of observations.values()) {
    for (const { feed, observation } of all) {
      // Nearly every observation bears none.
      if (observation.kept === null) continue;
      for (const ref of otherMarkingsOf(observation.kept)) {
        feeds.add(feed);
        refs.add(ref);
      }
    }
  }
  if (refs.size === 0) return observations;
  const definitions = await readDefinitions(tx, [...feeds], refs);
  return new Map(Array.from(observations, ([key, all]) => [key, all.map((one) => resolved(one, definitions))]));
}

function resolved(one: FeedObservation, definitions: Definitions): FeedObservation {
  const { feed, observation } = one;
  const refs = otherMarkingsOf(observation.kept);
  if (refs.length === 0) return one;
  const level = levelOf(feed, refs, definitions);
  if (level === null) return one;
  const statements = refs.filter((ref) => (definitions.of(feed, ref) ?? null) === null);
  const { object_marking_refs: _, ...others } = observation.kept ?? {};
  const kept = statements.length > 0 ? { object_marking_refs: statements, ...others } : others;
  const isEmpty = Object.keys(kept).length === 0;
  const tlp = stricter(observation.tlp, level);
  return { ...one, observation: { ...observation, tlp, kept: isEmpty ? null : kept } };
}
