import { hash } from 'node:crypto';
import type { CollectionDefinition } from '../model/definition.ts';
import { type EntryFilter, lastVersions } from '../model/entry-filter.ts';
import type { Checkpoint } from '../model/state.ts';
import type { Sink } from '../sinks/sink.ts';
import type { Reader, Transaction } from '../store/store.ts';

/** Whose checkpoint: a sink's name in the configuration, what it is open to, and what it delivers. */
export interface ViewParts {
  name: string;
  sink: Pick<Sink, 'targetId'>;
  collection: Pick<CollectionDefinition, 'alias' | 'journal' | 'types'>;
}

/** What a checkpoint is of: a collection by what it reads, so that another meaning of the same name begins anew. */
export function scopeOf({ alias, journal, types }: ViewParts['collection']): string {
  return `${alias} ${journal} ${types === null ? '*' : [...types].sort().join(',')}`;
}

/** What of the journal the collection shows. */
export function filterOf({ journal, types }: ViewParts['collection']): EntryFilter {
  return lastVersions(journal, types);
}

/** A checkpoint is of a scope in a place: another index or cluster under the same name begins anew. */
function checkpointOf({ collection, sink }: Pick<ViewParts, 'collection' | 'sink'>): string {
  return `${scopeOf(collection)} ${targetHash(sink)}`;
}

function targetHash({ targetId }: ViewParts['sink']): string {
  return hash('sha1', targetId).slice(0, 8);
}

/** The checkpoint that counts now; null before the first delivery has come to its end. */
export async function findCheckpoint(
  store: Pick<Reader, 'checkpoint'>,
  { name, ...of }: ViewParts,
): Promise<Checkpoint | null> {
  const found = await store.checkpoint(name, checkpointOf(of));
  return found === null || found.updatedAt === BEGUN ? null : found;
}

/** `updatedAt` of a first delivery that has begun: all that is known is that the place holds something of the collection. */
const BEGUN = 0;

/** Remembers that the place may hold something of the collection, before it does. Answers whether that is new. */
export async function markBegun(tx: Transaction, { name, ...of }: ViewParts): Promise<boolean> {
  const scope = checkpointOf(of);
  if ((await tx.checkpoint(name, scope)) !== null) return false;
  await tx.saveCheckpoint({ sink: name, scope, dateAdded: 0, updatedAt: BEGUN, renewedAt: BEGUN });
  return true;
}

export async function saveCheckpoint(
  tx: Transaction,
  { name, ...of }: ViewParts,
  at: Pick<Checkpoint, 'dateAdded' | 'updatedAt' | 'renewedAt'>,
): Promise<void> {
  await tx.saveCheckpoint({ sink: name, scope: checkpointOf(of), ...at });
}

/** Forgets what this place was given under the same name while that meant something else: a rebuild has just replaced it. */
export async function forgetOtherScopes(tx: Transaction, { name, sink, collection }: ViewParts): Promise<void> {
  const mine = checkpointOf({ collection, sink });
  for (const { scope, alias, isHere } of await checkpointsOf(tx, name, sink)) {
    if (isHere && alias === collection.alias && scope !== mine) await tx.removeCheckpoint(name, scope);
  }
}

/** Collections that this place holds something of, by the sink's checkpoints. */
export async function aliasesIn(store: Pick<Reader, 'checkpoints'>, name: string, sink: ViewParts['sink']) {
  const found = await checkpointsOf(store, name, sink);
  return [...new Set(found.filter(({ isHere }) => isHere).map(({ alias }) => alias))];
}

export async function forgetAlias(tx: Transaction, name: string, sink: ViewParts['sink'], alias: string) {
  for (const known of await checkpointsOf(tx, name, sink)) {
    if (known.isHere && known.alias === alias) await tx.removeCheckpoint(name, known.scope);
  }
}

async function checkpointsOf(store: Pick<Reader, 'checkpoints'>, name: string, sink: ViewParts['sink']) {
  const here = targetHash(sink);
  return (await store.checkpoints(name)).map(({ scope }) => {
    return { scope, alias: scope.slice(0, scope.indexOf(' ')), isHere: scope.endsWith(` ${here}`) };
  });
}
