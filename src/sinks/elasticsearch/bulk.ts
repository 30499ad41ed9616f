import { hash } from 'node:crypto';
import type { EcsContext, EcsTarget } from '../../ecs/data-stream.ts';
import { writeEcs } from '../../ecs/document.ts';
import { documentTime } from '../../ecs/renewal.ts';
import type { Clock, Micros } from '../../model/clock.ts';
import type { IndicatorEntry } from '../../model/entry.ts';
import { GatewayError } from '../../model/error.ts';
import { Utf8Buffer } from '../../model/utf8-buffer.ts';
import { NothingTaken, type PushReport, type Sink, type SinkCollection } from '../sink.ts';
import { Answered, type Connection, inWords, reasonOf } from './connection.ts';

export interface PusherParts {
  connection: Connection;
  target: EcsTarget;
  /** Alias, data stream or index. */
  destination: string;
  /** Bytes of one request. */
  flushBytes: number;
  contextOf(collection: SinkCollection): EcsContext;
  clock: Clock;
}

/** One bulk request on its way. */
interface Flush {
  body: Buffer;
  entries: IndicatorEntry[];
}

interface Item {
  status?: number;
  error?: unknown;
}

/** All that is read of an answer; the rest is most of its bytes. */
const FILTER = 'errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason';

/** What concerns the index, the role or the disk, and so every document: none of them is to blame. */
const CONDITIONS = new Set([
  'security_exception',
  'cluster_block_exception',
  'index_closed_exception',
  'index_not_found_exception',
]);
/** A shard or a node that is away or has too much to do, which passes. */
const BUSY = new Set([
  'circuit_breaking_exception',
  'es_rejected_execution_exception',
  'no_shard_available_action_exception',
  'node_closed_exception',
  'node_disconnected_exception',
  'node_not_connected_exception',
  'process_cluster_event_timeout_exception',
  'receive_timeout_transport_exception',
  'timeout_exception',
  'unavailable_shards_exception',
]);

/** Pushes entries as bulk requests of bounded size, one after the other. */
export function createPusher({
  connection,
  target,
  destination,
  flushBytes,
  contextOf,
  clock,
}: PusherParts): Sink['push'] {
  const path = `/${encodeURIComponent(destination)}/_bulk`;
  const query = {
    filter_path: FILTER,
    // Without them a missing alias or template would let the first push make an index of its own kind.
    ...(target === 'latest' ? { require_alias: true } : target === 'stream' ? { require_data_stream: true } : {}),
  };

  const send = async (flush: Flush, how: Encoding, report: PushReport, signal: AbortSignal): Promise<void> => {
    try {
      const answer = await connection.send({ method: 'POST', path, query, body: flush.body }, signal);
      takeAll(answer as { items?: Record<string, Item>[] }, flush.entries, report, connection.where);
    } catch (error) {
      if (!(error instanceof Answered)) throw error;
      if (error.status !== 413) throw refusal(error, destination, connection.where);
      const [only, ...others] = flush.entries;
      if (others.length === 0) {
        report.refused.push({ entry: only as IndicatorEntry, reason: 'the document is larger than the cluster takes' });
        return;
      }
      // A proxy in front takes less than was configured.
      const halves = flushesOf(flush.entries, how, Math.ceil(flush.body.length / 2));
      for (const half of halves) await send(half, how, report, signal);
    }
  };

  const sendAll = async (
    entries: readonly IndicatorEntry[],
    how: Encoding,
    report: PushReport,
    signal: AbortSignal,
  ) => {
    for (const flush of flushesOf(entries, how, flushBytes)) await send(flush, how, report, signal);
  };

  return async (collection, entries, signal, anew = false) => {
    const report: PushReport = { written: 0, unchanged: 0, refused: [], later: [] };
    const told = target === 'compat' ? entries.filter(({ revoked }) => !revoked) : entries;
    // The guide's queries know no withdrawal: its tombstone would count as one more sighting.
    report.unchanged += entries.length - told.length;
    await sendAll(told, { target, context: contextOf(collection), anew, now: clock.now() }, report, signal);
    return report;
  };
}

interface Encoding {
  target: EcsTarget;
  context: EcsContext;
  /** Writes a version that the index has, or remembers as removed, once more. */
  anew: boolean;
  now: Micros;
}

/** Bodies of up to `most` bytes, each made when it is asked for. */
function* flushesOf(entries: readonly IndicatorEntry[], how: Encoding, most: number): Generator<Flush> {
  const guess = Math.min(most, entries.length * USUAL_BYTES);
  let body = new Utf8Buffer(Buffer.allocUnsafe(guess));
  let taken: IndicatorEntry[] = [];
  for (const entry of entries) {
    const text = operationOf(entry, how);
    // UTF-16 units for bytes: what is not ASCII is rare in these documents, and the bound is no protocol's.
    if (taken.length > 0 && body.length + text.length > most) {
      yield { body: body.bytes(), entries: taken };
      [body, taken] = [new Utf8Buffer(Buffer.allocUnsafe(guess)), []];
    }
    body.add(text);
    taken.push(entry);
  }
  if (taken.length > 0) yield { body: body.bytes(), entries: taken };
}

/** Of an operation with its document; a body that was guessed right is not copied while it grows. */
const USUAL_BYTES = 2560;

/** Action and document as bulk wants them; ids are 27 characters without padding, so that Lucene packs them well. */
function operationOf(entry: IndicatorEntry, { target, context, anew, now }: Encoding): string {
  const { alias } = context.collection;
  if (target !== 'latest') {
    // The guide counts documents: there a renewal would be one more sighting.
    const at = target === 'stream' ? documentTime(entry, now) : entry.version;
    const id = hash('sha1', `${alias} ${entry.objectId} ${at}`, 'base64url');
    return `{"create":{"_id":"${id}"}}\n${writeEcs(entry, context, at)}\n`;
  }
  // Versions rise with the journal, so an operation that arrives late or twice can't undo a newer one.
  const type = anew ? 'external_gte' : 'external';
  const version = `"_id":"${latestId(context, entry)}","version":${entry.dateAdded},"version_type":"${type}"`;
  if (entry.revoked) return `{"delete":{${version}}}\n`;
  return `{"index":{${version}}}\n${writeEcs(entry, context, documentTime(entry, now))}\n`;
}

/** One document per observable and collection: the key is a hash of the type and value that the pattern spells. */
function latestId({ collection }: EcsContext, { key }: IndicatorEntry): string {
  return hash('sha1', `${collection.alias} ${key}`, 'base64url');
}

function takeAll(
  { items = [] }: { items?: Record<string, Item>[] },
  entries: readonly IndicatorEntry[],
  report: PushReport,
  where: string,
): void {
  if (items.length !== entries.length) {
    throw new GatewayError(
      'sink-unavailable',
      `${where} answered for ${items.length} of ${entries.length} operations.`,
    );
  }
  for (const [i, operation] of items.entries()) {
    const [[action, { status = 0, error }] = ['', {} as Item]] = Object.entries(operation);
    const entry = entries[i] as IndicatorEntry;
    if (status >= 200 && status < 300) report.written += 1;
    // 409: it has this version or a newer one. 404 for a delete: it never had it.
    else if (status === 409 || (status === 404 && action === 'delete' && error === undefined)) {
      report.unchanged += 1;
    } else if (CONDITIONS.has(typeOf(error))) {
      throw inWords(new Answered(status, reasonOf({ error })), where, 'takes nothing for the index');
    } else if (status === 429 || status >= 500) {
      report.later.push({ entry, reason: reasonOf({ error }), isBusy: status === 429 || BUSY.has(typeOf(error)) });
    } else report.refused.push({ entry, reason: reasonOf({ error }) });
  }
}

function typeOf(error: unknown): string {
  const { type } = (error ?? {}) as { type?: unknown };
  return typeof type === 'string' ? type : '';
}

/** Without index nobody is to blame but the setup; else it may be what was sent. */
function refusal(answered: Answered, destination: string, where: string): GatewayError {
  const error = inWords(answered, where, `takes nothing for ${destination}`);
  if (answered.status === 404) return error;
  const { code, message, retryAfter } = error;
  return new NothingTaken(code, message, retryAfter === undefined ? {} : { retryAfter });
}
