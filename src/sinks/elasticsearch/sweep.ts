import { GatewayError } from '../../model/error.ts';
import type { Sink, SinkCollection } from '../sink.ts';
import { Answered, type Connection, inWords } from './connection.ts';

/** Documents looked at per request. */
const PAGE = 5000;
const KEEP_ALIVE = '2m';

interface Hit {
  _id: string;
  _index: string;
  _version: number;
  fields?: { 'stix.id'?: string[] };
  sort: unknown[];
}

/** Does the index hold nothing of a collection? */
export async function isEmpty(
  connection: Connection,
  alias: string,
  collection: Pick<SinkCollection, 'alias'>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await connection.send({ method: 'POST', path: `/${alias}/_refresh` }, signal);
    const body = { query: queryOf(collection) };
    const { count } = (await connection.send({ method: 'POST', path: `/${alias}/_count`, body }, signal)) as {
      count: number;
    };
    return count === 0;
  } catch (error) {
    throw error instanceof Answered ? inWords(error, connection.where, 'could not be counted') : error;
  }
}

function queryOf({ alias }: Pick<SinkCollection, 'alias'>): object {
  return { bool: { filter: [{ term: { 'sluice.collection': alias } }] } };
}

/**
 * Takes out every document of a collection whose STIX id is not live. Each delete holds only for the very document that was
 * looked at, so one that is written meanwhile stays.
 */
export async function sweepIndex(
  connection: Connection,
  alias: string,
  collection: Pick<SinkCollection, 'alias'>,
  isLive: Parameters<Sink['sweep']>[1],
  signal: AbortSignal,
): Promise<number> {
  try {
    await connection.send({ method: 'POST', path: `/${alias}/_refresh` }, signal);
    const opened = { method: 'POST', path: `/${alias}/_pit`, query: { keep_alive: KEEP_ALIVE } } as const;
    const { id } = (await connection.send(opened, signal)) as { id: string };
    try {
      return await sweepPages(connection, id, collection, isLive, signal);
    } finally {
      await connection.send({ method: 'DELETE', path: '/_pit', body: { id } }, signal).catch(() => undefined);
    }
  } catch (error) {
    if (!(error instanceof Answered)) throw error;
    throw inWords(error, connection.where, 'could not be swept');
  }
}

async function sweepPages(
  connection: Connection,
  pit: string,
  collection: Pick<SinkCollection, 'alias'>,
  isLive: Parameters<Sink['sweep']>[1],
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  let after: unknown[] | null = null;
  for (;;) {
    const body = {
      size: PAGE,
      pit: { id: pit, keep_alive: KEEP_ALIVE },
      query: queryOf(collection),
      sort: [{ _shard_doc: 'asc' }],
      version: true,
      track_total_hits: false,
      _source: false,
      docvalue_fields: ['stix.id'],
      ...(after === null ? {} : { search_after: after }),
    };
    const answer = await connection.send({ method: 'POST', path: '/_search', body }, signal);
    const { hits } = (answer as { hits: { hits: Hit[] } }).hits;
    if (hits.length === 0) return removed;
    after = hits.at(-1)?.sort ?? null;
    const live = await isLive(hits.flatMap(idOf));
    const gone = hits.filter((hit) => !idOf(hit).some((id) => live.has(id)));
    if (gone.length === 0) continue;
    await remove(connection, gone, signal);
    removed += gone.length;
  }
}

function idOf({ fields }: Hit): string[] {
  return fields?.['stix.id'] ?? [];
}

/** 404 and 409: somebody else removed it, or it was written anew. */
async function remove(connection: Connection, gone: readonly Hit[], signal: AbortSignal): Promise<void> {
  const lines = gone.map(({ _id, _index, _version }) =>
    JSON.stringify({ delete: { _id, _index, version: _version, version_type: 'external_gte' } }),
  );
  const bulk = { method: 'POST', path: '/_bulk', query: { filter_path: 'items.*.status' } } as const;
  const answer = await connection.send({ ...bulk, body: Buffer.from(`${lines.join('\n')}\n`) }, signal);
  const { items = [] } = answer as { items?: { delete?: { status?: number } }[] };
  const isSettled = ({ delete: { status = 0 } = {} }): boolean => status === 200 || status === 404 || status === 409;
  const open = gone.length - items.filter(isSettled).length;
  if (open > 0) throw new GatewayError('sink-unavailable', `${connection.where} did not remove ${open} documents.`);
}
