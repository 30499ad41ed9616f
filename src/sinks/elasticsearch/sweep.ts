import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import type { Sink, SinkCollection } from '../sink.ts';
import { type Connection, ErrorResponse, toGatewayError } from './connection.ts';

/** Documents that one search returns. */
const PAGE = 5000;
/** How long Elasticsearch keeps the point in time between two searches. */
const KEEP_ALIVE = '2m';

/** A document of a search: where it is, its version, and its `stix.id`. */
interface Hit {
  id: string;
  index: string;
  version: number;
  stixIds: string[];
  sort: Json[];
}

/** True when the index holds no document of the collection. */
export async function isEmpty(
  connection: Connection,
  alias: string,
  collection: Pick<SinkCollection, 'alias'>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await connection.send({ method: 'POST', path: `/${alias}/_refresh` }, signal);
    const body = { query: queryOf(collection) };
    const { count } = await connection.send({ method: 'POST', path: `/${alias}/_count`, body }, signal);
    return count === 0;
  } catch (error) {
    throw error instanceof ErrorResponse ? toGatewayError(error, connection.where, 'could not be counted') : error;
  }
}

function queryOf({ alias }: Pick<SinkCollection, 'alias'>): object {
  return { bool: { filter: [{ term: { 'sluice.collection': alias } }] } };
}

/**
 * Deletes every document of a collection whose STIX id is not live, and returns how many. A delete names the version that was
 * read, so a document that is written meanwhile stays.
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
    const query = { keep_alive: KEEP_ALIVE };
    const { id } = await connection.send({ method: 'POST', path: `/${alias}/_pit`, query }, signal);
    try {
      return await sweepPages(connection, String(id), collection, isLive, signal);
    } finally {
      await connection.send({ method: 'DELETE', path: '/_pit', body: { id } }, signal).catch(() => undefined);
    }
  } catch (error) {
    if (!(error instanceof ErrorResponse)) throw error;
    throw toGatewayError(error, connection.where, 'could not be swept');
  }
}

async function sweepPages(
  connection: Connection,
  pointInTime: string,
  collection: Pick<SinkCollection, 'alias'>,
  isLive: Parameters<Sink['sweep']>[1],
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  let after: Json[] | null = null;
  for (;;) {
    const body = {
      size: PAGE,
      pit: { id: pointInTime, keep_alive: KEEP_ALIVE },
      query: queryOf(collection),
      sort: [{ _shard_doc: 'asc' }],
      version: true,
      track_total_hits: false,
      _source: false,
      docvalue_fields: ['stix.id'],
      ...(after === null ? {} : { search_after: after }),
    };
    const hits = hitsOf(await connection.send({ method: 'POST', path: '/_search', body }, signal));
    if (hits.length === 0) return removed;
    after = hits.at(-1)?.sort ?? null;
    const live = await isLive(hits.flatMap(({ stixIds }) => stixIds));
    const gone = hits.filter(({ stixIds }) => !stixIds.some((id) => live.has(id)));
    if (gone.length === 0) continue;
    await remove(connection, gone, signal);
    removed += gone.length;
  }
}

/** `hits.hits` of a search response. */
function hitsOf({ hits }: JsonObject): Hit[] {
  const list = isJsonObject(hits) && Array.isArray(hits['hits']) ? hits['hits'] : [];
  return list.filter(isJsonObject).map(({ _id, _index, _version, fields, sort }) => {
    const ids = isJsonObject(fields) && Array.isArray(fields['stix.id']) ? fields['stix.id'] : [];
    return {
      id: String(_id),
      index: String(_index),
      version: Number(_version),
      stixIds: ids.map(String),
      sort: Array.isArray(sort) ? sort : [],
    };
  });
}

/** A status of 404 or 409 is fine: somebody else removed the document, or it was written again. */
async function remove(connection: Connection, gone: readonly Hit[], signal: AbortSignal): Promise<void> {
  const lines = gone.map(({ id, index, version }) =>
    JSON.stringify({ delete: { _id: id, _index: index, version, version_type: 'external_gte' } }),
  );
  const bulk = { method: 'POST', path: '/_bulk', query: { filter_path: 'items.*.status' } } as const;
  const { items } = await connection.send({ ...bulk, body: Buffer.from(`${lines.join('\n')}\n`) }, signal);
  const removed = (Array.isArray(items) ? items : []).filter((item) => {
    const result = isJsonObject(item) ? item['delete'] : undefined;
    const status = isJsonObject(result) ? result['status'] : 0;
    return status === 200 || status === 404 || status === 409;
  });
  const left = gone.length - removed.length;
  if (left > 0) throw new GatewayError('sink-unavailable', `${connection.where} did not remove ${left} documents.`);
}
