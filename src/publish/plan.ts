import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import type { JournalDefinition } from '../model/definition.ts';
import type { WithdrawalReason } from '../model/entry.ts';
import { lastVersions } from '../model/entry-filter.ts';
import type { ObservableKey, ObservableType } from '../model/observable.ts';
import type { AppendEntry, Transaction } from '../store/store.ts';
import type { Journals } from './journals.ts';
import { publishObjects } from './objects.ts';
import { publish } from './publish.ts';
import { walk } from './walk.ts';

/**
 * What bringing a journal up to a changed configuration would append. It is published as ever, into transactions that keep nothing:
 * what a plan says is what `reconcile` does.
 */

/** Keys and objects taken per transaction; each waits for no longer than a batch of rows. */
const SLICE = 5000;
const OBJECT_SLICE = 500;
/** Examples kept of each type. */
const EXAMPLES = 5;

/** What would be appended, by observable type. */
export interface PlannedEntries {
  byType: Map<ObservableType, PlannedType>;
  /** Entries of other STIX objects. */
  objects: number;
}

export interface PlannedType {
  adds: number;
  withdraws: number;
  changes: number;
  examples: { adds: string[]; withdraws: { value: string; reason: WithdrawalReason }[] };
}

/** Throws the signal's reason. */
export async function planJournal(
  journals: Journals,
  definition: JournalDefinition,
  signal: AbortSignal,
): Promise<PlannedEntries> {
  const { writer, clock } = journals.parts;
  const { name, policy } = definition;
  const feeds = journals.feedsOf(definition).map(({ name }) => name);
  const planned = new Planned(policy.expandCidr !== null);
  const planKeys = async (tx: Transaction, keys: readonly ObservableKey[]): Promise<void> => {
    const now = clock.now();
    // Other objects are counted on their own, relations among them.
    const contexts = [await journals.context(tx, { ...definition, policy: { ...policy, objects: 'indicators' } }, now)];
    await publish(keepingNothing(tx, now, planned), contexts, { keys, objects: [] }, now);
  };
  await walk(signal, (after: ObservableKey | null) =>
    writer.transaction(async (tx) => {
      const keys = await tx.observedKeys(feeds, after, SLICE);
      await planKeys(tx, keys);
      return keys.at(-1) ?? null;
    }),
  );
  // What is live and that no feed of the pool says any more.
  await walk(signal, (after: ObservableKey | null) =>
    writer.transaction(async (tx) => {
      const keys = await tx.liveKeys(name, after, SLICE);
      const said = new Set((await tx.observations(feeds, keys)).map(({ key }) => key));
      await planKeys(
        tx,
        keys.filter((key) => !said.has(key)),
      );
      return keys.at(-1) ?? null;
    }),
  );
  const planObjects = async (tx: Transaction, ids: readonly string[]): Promise<void> => {
    const now = clock.now();
    await publishObjects(keepingNothing(tx, now, planned), await journals.context(tx, definition, now), ids, now);
  };
  await walk(signal, (after: string | null) =>
    writer.transaction(async (tx) => {
      const ids = [...new Set((await tx.objects(feeds, after, OBJECT_SLICE)).map(({ id }) => id))];
      await planObjects(tx, ids);
      return ids.at(-1) ?? null;
    }),
  );
  await walk(signal, (after: Micros | null) =>
    writer.transaction(async (tx) => {
      const { entries } = await tx.page({ ...lastVersions(name), after: after ?? 0, limit: OBJECT_SLICE });
      const ids = entries.flatMap((one) => (one.kind === 'object' && !one.isProducerObject ? [one.objectId] : []));
      const said = new Set((await tx.objectsById(feeds, ids)).map(({ id }) => id));
      await planObjects(
        tx,
        ids.filter((id) => !said.has(id)),
      );
      return entries.at(-1)?.dateAdded ?? null;
    }),
  );
  return planned;
}

/** Reads as `tx` does. What is written is counted and kept nowhere. */
function keepingNothing(tx: Transaction, now: Micros, planned: Planned): Transaction {
  return {
    ...tx,
    stamp: async (_journal, count) => Array.from({ length: count }, (_, i) => now + i * MICROS_PER_MS),
    append: async (_journal, entries) => planned.append(entries),
    judge: async () => undefined,
    judgeObjects: async () => undefined,
    setDue: async () => undefined,
    saveFeedState: async () => undefined,
    purge: async () => undefined,
    point: async () => undefined,
  };
}

class Planned implements PlannedEntries {
  readonly byType: PlannedEntries['byType'] = new Map();
  objects = 0;
  /** An address may be met by itself and by each network over it. Null: each is met once. */
  readonly #met: Set<ObservableKey> | null;

  constructor(isExpanding: boolean) {
    this.#met = isExpanding ? new Set() : null;
  }

  append(entries: readonly AppendEntry[]): void {
    let isMet = false;
    for (const { entry, replaces } of entries) {
      if (entry.kind === 'object') {
        this.objects += 1;
        continue;
      }
      const isReissued = entry.revoked && entry.reason === 'reissued';
      // A tombstone of what was issued anew comes right after that.
      if (!isReissued) isMet = this.#met?.has(entry.key) ?? false;
      if (isMet) continue;
      this.#met?.add(entry.key);
      const type = this.#ofType(entry.type);
      if (isReissued) {
        type.adds -= 1;
        type.changes += 1;
        if (type.examples.adds.at(-1) === entry.value) type.examples.adds.pop();
      } else if (entry.revoked) {
        type.withdraws += 1;
        if (type.examples.withdraws.length < EXAMPLES) {
          type.examples.withdraws.push({ value: entry.value, reason: entry.reason ?? 'vanished' });
        }
      } else if (replaces === null) {
        type.adds += 1;
        if (type.examples.adds.length < EXAMPLES) type.examples.adds.push(entry.value);
      } else type.changes += 1;
    }
  }

  #ofType(type: ObservableType): PlannedType {
    const known = this.byType.get(type);
    if (known !== undefined) return known;
    const fresh: PlannedType = { adds: 0, withdraws: 0, changes: 0, examples: { adds: [], withdraws: [] } };
    this.byType.set(type, fresh);
    return fresh;
  }
}
