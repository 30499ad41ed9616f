import type { Micros } from '../model/clock.ts';
import type { FeedDefinition } from '../model/definition.ts';
import type { SourceObject } from '../model/observation.ts';
import { isOlder } from '../stix/source-objects.ts';
import type { Pull, Transaction } from '../store/store.ts';

/**
 * Versions that no observation tells of: what they ended stays ended, whoever else says the same value. A delta feed's are kept
 * for as long as what it revoked (publish/aged-rows.ts). A snapshot's are kept from one pull to the next, so that an older version
 * which it still holds is known to be one before the newer comes.
 */

/**
 * Versions that a pull has said and the store does not hold: of what says nothing of an observable, and of what is held back. An
 * older one on a later page of the pull is no longer the object.
 */
const spoken = new WeakMap<Pull, Map<string, Micros | null>>();
/** Beyond it what came on earlier pages is not remembered. */
const MOST_SPOKEN = 200_000;

export function spokenBy(pull: Pull): ReadonlyMap<string, Micros | null> {
  return spoken.get(pull) ?? new Map();
}

export function rememberSpoken(pull: Pull, statements: readonly SourceObject[], now: Micros): void {
  const known = spoken.get(pull) ?? new Map<string, Micros | null>();
  spoken.set(pull, known);
  for (const { id, version } of statements) {
    const isNewer = !isOlder(version, known.get(id) ?? null, now);
    if (isNewer && (known.has(id) || known.size < MOST_SPOKEN)) known.set(id, version);
  }
}

/** Unless a newer version of the same id is remembered. */
export async function rememberEnded(
  tx: Transaction,
  pull: Pull,
  feed: FeedDefinition,
  statements: readonly SourceObject[],
  now: Micros,
): Promise<void> {
  if (statements.length === 0) return;
  const ids = statements.map(({ id }) => id);
  const known = feed.mode === 'delta' ? await tx.endedVersions(feed.name, ids) : spokenBy(pull);
  const newer = statements.filter(({ id, version }) => !isOlder(version, known.get(id) ?? null, now));
  await tx.rememberEnded(feed.name, newer, now);
  if (feed.mode !== 'snapshot') return;
  rememberSpoken(pull, newer, now);
  rememberedSince.set(pull, Math.min(now, rememberedSince.get(pull) ?? now));
}

/** When a pull of a snapshot first remembered anything of its own. */
const rememberedSince = new WeakMap<Pull, Micros>();
/** Removed at once. */
const FORGOTTEN_SLICE = 5000;

/** At the end of a pull of a snapshot: what it has not said again is of no use any more. */
export async function forgetUnsaid(tx: Transaction, pull: Pull, feed: FeedDefinition, now: Micros): Promise<void> {
  if (feed.mode !== 'snapshot') return;
  const before = rememberedSince.get(pull) ?? now;
  while ((await tx.forgetEnded(feed.name, before, FORGOTTEN_SLICE)) === FORGOTTEN_SLICE);
}
