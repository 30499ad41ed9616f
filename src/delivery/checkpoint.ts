import { hash } from 'node:crypto';
import type { CollectionDefinition } from '../model/definition.ts';
import { type EntryFilter, lastVersions } from '../model/entry-filter.ts';
import type { Checkpoint } from '../model/state.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Reader, Transaction } from '../store/store.ts';

/**
 * How far a sink has come in a collection. A checkpoint belongs to a scope: the collection's alias, journal and types, and a hash
 * of the target. When one of these changes, the checkpoint no longer applies and the collection is delivered from the start.
 */

/** The sink and collection that a checkpoint is of. */
export interface CheckpointOwner {
  /** The sink's name in the configuration. */
  name: string;
  sink: Pick<Sink, 'targetId'>;
  collection: Pick<CollectionDefinition, 'alias' | 'journal' | 'types'>;
}

/** `ALIAS JOURNAL TYPES` of a collection, with `*` for all types: the scope of its dead letters. */
export function scopeOf({ alias, journal, types }: CheckpointOwner['collection']): string {
  return `${alias} ${journal} ${types === null ? '*' : [...types].sort().join(',')}`;
}

/** The entries of the journal that the collection shows. */
export function filterOf({ journal, types }: CheckpointOwner['collection']): EntryFilter {
  return lastVersions(journal, types);
}

/** The scope of a checkpoint: that of the collection, and the target. */
function checkpointScope({ collection, sink }: Pick<CheckpointOwner, 'collection' | 'sink'>): string {
  return `${scopeOf(collection)} ${targetHash(sink)}`;
}

function targetHash({ targetId }: CheckpointOwner['sink']): string {
  return hash('sha1', targetId).slice(0, 8);
}

/** `updatedAt` of the checkpoint of a first delivery that has begun and not ended. */
const BEGUN = 0;

/** The checkpoint of a collection; null until its first delivery has ended. */
export async function findCheckpoint(
  store: Pick<Reader, 'checkpoint'>,
  { name, ...owner }: CheckpointOwner,
): Promise<Checkpoint | null> {
  const found = await store.checkpoint(name, checkpointScope(owner));
  return found === null || found.updatedAt === BEGUN ? null : found;
}

/**
 * Records that the target may hold documents of the collection, before the first is pushed. Returns true when nothing was
 * recorded before.
 */
export async function markBegun(tx: Transaction, { name, ...owner }: CheckpointOwner): Promise<boolean> {
  const scope = checkpointScope(owner);
  if ((await tx.checkpoint(name, scope)) !== null) return false;
  await tx.saveCheckpoint({ sink: name, scope, dateAdded: 0, updatedAt: BEGUN, renewedAt: BEGUN });
  return true;
}

export async function saveCheckpoint(
  tx: Transaction,
  { name, ...owner }: CheckpointOwner,
  at: Pick<Checkpoint, 'dateAdded' | 'updatedAt' | 'renewedAt'>,
): Promise<void> {
  await tx.saveCheckpoint({ sink: name, scope: checkpointScope(owner), ...at });
}

/** Removes the checkpoints of the same collection and target with another journal or other types. A rebuild has replaced them. */
export async function removeOtherScopes(tx: Transaction, { name, sink, collection }: CheckpointOwner): Promise<void> {
  const own = checkpointScope({ collection, sink });
  for (const { scope, alias } of await checkpointsAtTarget(tx, name, sink)) {
    if (alias === collection.alias && scope !== own) await tx.removeCheckpoint(name, scope);
  }
}

/** Aliases of the collections of which the target may hold documents. */
export async function aliasesAtTarget(
  store: Pick<Reader, 'checkpoints'>,
  name: string,
  sink: CheckpointOwner['sink'],
): Promise<string[]> {
  const found = await checkpointsAtTarget(store, name, sink);
  return [...new Set(found.map(({ alias }) => alias))];
}

/** Removes the checkpoints of a collection at this target. */
export async function removeCheckpoints(
  tx: Transaction,
  name: string,
  sink: CheckpointOwner['sink'],
  alias: string,
): Promise<void> {
  for (const known of await checkpointsAtTarget(tx, name, sink)) {
    if (known.alias === alias) await tx.removeCheckpoint(name, known.scope);
  }
}

async function checkpointsAtTarget(store: Pick<Reader, 'checkpoints'>, name: string, sink: CheckpointOwner['sink']) {
  const suffix = ` ${targetHash(sink)}`;
  const scopes = (await store.checkpoints(name)).map(({ scope }) => scope);
  return scopes
    .filter((scope) => scope.endsWith(suffix))
    .map((scope) => ({ scope, alias: scope.slice(0, scope.indexOf(' ')) }));
}
