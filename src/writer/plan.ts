import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { formatProblem } from '../config/problem.ts';
import { loadConfigFile } from '../load.ts';
import type { CollectionDefinition } from '../model/definition.ts';
import { type ObservableType, observableTypes } from '../model/observable.ts';
import type { PlannedCollection, PlanReport } from '../model/plan.ts';
import type { Views } from '../publish/collection-views.ts';
import type { Journals } from '../publish/journals.ts';
import { type PlannedEntries, planJournal } from '../publish/plan.ts';
import { wantedPolicy } from '../publish/reconcile.ts';
import { openPolicy, sealPolicy } from '../publish/sealed-policy.ts';
import type { Writer } from '../store/store.ts';

export interface PlanParts {
  writer: Writer;
  /** The journals of another configuration, on this store. */
  openJournals(config: Config): Journals;
  signal: AbortSignal;
}

/** A journal as it stands in the store. */
interface Standing {
  name: string;
  seal: string | null;
  views: Views;
  live: Partial<Record<ObservableType, number>>;
}

/** Examples that are told of each collection. */
const EXAMPLES = 5;

/** What a configuration file would change for the readers of each collection. Writes nothing. Throws `config-invalid`. */
export async function plan(current: Config, path: string, parts: PlanParts): Promise<PlanReport> {
  const { writer, signal } = parts;
  const { config, warnings } = await loadConfigFile(path);
  const journals = parts.openJournals(config);
  const standing = await readStanding(writer);
  const planned = new Map<string, PlannedEntries>();
  for (const definition of config.journals) {
    const seal = sealPolicy(wantedPolicy(journals, definition));
    if (standing.get(definition.name)?.seal === seal) continue;
    planned.set(definition.name, await planJournal(journals, definition, signal));
  }
  const known = await writer.transaction((tx) => tx.knownFeeds());
  const feeds = [...config.feeds, ...config.idleFeeds].map(({ definition }) => definition.name);
  return {
    collections: config.collections.map((collection) =>
      planCollection(collection, [...standing.values()], planned.get(collection.journal)),
    ),
    dropped: droppedOf(current, config, [...standing.values()]),
    newFeeds: feeds.filter((feed) => !known.includes(feed)),
    droppedFeeds: known.filter((feed) => !feeds.includes(feed)),
    warnings: warnings.map((warning) => formatProblem(resolve(path), warning)),
  };
}

async function readStanding(writer: Writer): Promise<Map<string, Standing>> {
  const standing = new Map<string, Standing>();
  for (const { name, policyHash: seal } of await writer.journals()) {
    // One that is no longer configured has no readers.
    if (seal === null) continue;
    standing.set(name, { name, seal, views: openPolicy(seal).views, live: await writer.countLive(name) });
  }
  return standing;
}

function planCollection(
  { alias, id, journal, types }: CollectionDefinition,
  standing: readonly Standing[],
  planned: PlannedEntries | undefined,
): PlannedCollection {
  const before = standing.find(({ views }) => id in views);
  const isOwn = before?.name === journal;
  const sums = {
    live: before === undefined ? 0 : liveIn(before, before.views[id] ?? null),
    adds: 0,
    withdraws: 0,
    unshown: 0,
    changes: 0,
  };
  const examples: PlannedCollection['examples'] = { adds: [], withdraws: [] };
  const stands = standing.find(({ name }) => name === journal);
  for (const type of observableTypes) {
    const entries = planned?.byType.get(type);
    const liveBefore = stands?.live[type] ?? 0;
    const wasShown = isOwn && isIn(type, before.views[id] ?? null);
    const isShown = isIn(type, types);
    if (wasShown && isShown) {
      sums.adds += entries?.adds ?? 0;
      sums.withdraws += entries?.withdraws ?? 0;
      sums.changes += entries?.changes ?? 0;
    } else if (isShown) sums.adds += liveBefore + (entries?.adds ?? 0) - (entries?.withdraws ?? 0);
    else if (wasShown) {
      sums.withdraws += liveBefore;
      sums.unshown += liveBefore;
    }
    if (!isShown || entries === undefined) continue;
    examples.adds.push(...entries.examples.adds);
    if (wasShown) examples.withdraws.push(...entries.examples.withdraws);
  }
  // All of the other journal's are left behind: readers are not told of it.
  if (before !== undefined && !isOwn) sums.withdraws = sums.live;
  const isSame = isOwn && sums.adds + sums.withdraws + sums.changes + (planned?.objects ?? 0) === 0;
  return {
    alias,
    id,
    change: before === undefined ? 'new' : !isOwn ? 'other-ids' : isSame ? 'same' : 'changed',
    ...sums,
    objects: planned?.objects ?? 0,
    examples: { adds: examples.adds.slice(0, EXAMPLES), withdraws: examples.withdraws.slice(0, EXAMPLES) },
  };
}

/** Collections that stand, by their ids, and that the changed configuration does not have. */
function droppedOf(current: Config, changed: Config, standing: readonly Standing[]): PlanReport['dropped'] {
  const kept = new Set(changed.collections.map(({ id }) => id));
  return standing.flatMap((journal) =>
    Object.entries(journal.views).flatMap(([id, types]) => {
      if (kept.has(id)) return [];
      const alias = current.collections.find((collection) => collection.id === id)?.alias ?? null;
      return [{ alias, id, live: liveIn(journal, types) }];
    }),
  );
}

function liveIn({ live }: Standing, types: readonly ObservableType[] | null): number {
  return observableTypes.reduce((sum, type) => sum + (isIn(type, types) ? (live[type] ?? 0) : 0), 0);
}

function isIn(type: ObservableType, types: readonly ObservableType[] | null): boolean {
  return types === null || types.includes(type);
}
