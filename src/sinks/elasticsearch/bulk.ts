import { hash } from 'node:crypto';
import type { EcsContext, EcsTarget } from '../../ecs/data-stream.ts';
import { writeEcs } from '../../ecs/document.ts';
import type { IndicatorEntry } from '../../model/entry.ts';
import { GatewayError } from '../../model/error.ts';
import type { PushReport, Sink, SinkCollection } from '../sink.ts';
import { Answered, type Connection, reasonOf } from './connection.ts';

export interface PusherParts {
  connection: Connection;
  target: EcsTarget;
  /** Alias, data stream or index. */
  destination: string;
  /** Bytes of one request. */
  flushBytes: number;
  /** Requests under way at a time. */
  concurrency: number;
  contextOf(collection: SinkCollection): EcsContext;
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

/** Pushes entries as bulk requests of bounded size, several at a time. */
export function createPusher({ connection, target, destination, ...bounds }: PusherParts): Sink['push'] {
  const path = `/${encodeURIComponent(destination)}/_bulk`;
  const query = {
    filter_path: FILTER,
    // Without them a missing alias or template would let the first push make an index of its own kind.
    ...(target === 'latest' ? { require_alias: true } : target === 'stream' ? { require_data_stream: true } : {}),
  };

  const send = async (flush: Flush, how: Encoding, report: PushReport, signal: AbortSignal): Promise<void> => {
    try {
      const answer = await connection.send({ method: 'POST', path, query, body: flush.body }, signal);
      takeAll(answer as { items?: Record<string, Item>[] }, flush.entries, report, how.conflicts, connection.where);
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

  /** All are waited for, also when one failed: what is still under way must not meet the next attempt. */
  const sendAll = async (flushes: Iterable<Flush>, how: Encoding, report: PushReport, signal: AbortSignal) => {
    let hasFailed = false;
    const work = async (): Promise<void> => {
      for (const flush of flushes) {
        if (hasFailed) return;
        await send(flush, how, report, signal).catch((error: unknown) => {
          hasFailed = true;
          throw error;
        });
      }
    };
    const done = await Promise.allSettled(Array.from({ length: bounds.concurrency }, work));
    const failed = done.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  };

  return async (collection, entries, signal, anew = false) => {
    const report: PushReport = { written: 0, unchanged: 0, refused: [], later: [] };
    const told = target === 'compat' ? entries.filter(({ revoked }) => !revoked) : entries;
    // The guide's queries know no withdrawal: its tombstone would count as one more sighting.
    report.unchanged += entries.length - told.length;
    const how: Encoding = { target, context: bounds.contextOf(collection), again: false, conflicts: [] };
    await sendAll(flushesOf(told, how, bounds.flushBytes), how, report, signal);
    if (!anew || target !== 'latest' || how.conflicts.length === 0) return report;
    const lost = await missingOf(how.conflicts, how, { connection, destination }, signal);
    report.unchanged -= lost.length;
    const again = { ...how, again: true };
    await sendAll(flushesOf(lost, again, bounds.flushBytes), again, report, signal);
    return report;
  };
}

/** Ids asked for at a time. */
const LOOKUP = 5000;

/** Those that aren't there although the index says that it knows this version: a sweep removed it, and that is remembered. */
async function missingOf(
  entries: readonly IndicatorEntry[],
  { context }: Encoding,
  { connection, destination }: Pick<PusherParts, 'connection' | 'destination'>,
  signal: AbortSignal,
): Promise<IndicatorEntry[]> {
  const missing: IndicatorEntry[] = [];
  for (let from = 0; from < entries.length; from += LOOKUP) {
    const slice = entries.slice(from, from + LOOKUP);
    const ids = slice.map((entry) => latestId(context, entry));
    const path = `/${encodeURIComponent(destination)}/_mget`;
    const query = { _source: false, filter_path: 'docs.found' };
    const answer = await connection.send({ method: 'POST', path, query, body: { ids } }, signal);
    const { docs = [] } = answer as { docs?: { found?: boolean }[] };
    missing.push(...slice.filter((_, i) => docs[i]?.found === false));
  }
  return missing;
}

interface Encoding {
  target: EcsTarget;
  context: EcsContext;
  /** Writes a version that the index remembers as removed. */
  again: boolean;
  /** Filled with what the index says it knows. */
  conflicts: IndicatorEntry[];
}

/** Bodies of up to `most` bytes, each made when it is asked for. */
function* flushesOf(entries: readonly IndicatorEntry[], how: Encoding, most: number): Generator<Flush> {
  let lines: string[] = [];
  let chars = 0;
  let taken: IndicatorEntry[] = [];
  const flush = (): Flush => {
    const done = { body: Buffer.from(lines.join('')), entries: taken };
    [lines, chars, taken] = [[], 0, []];
    return done;
  };
  for (const entry of entries) {
    const line = operationOf(entry, how);
    // UTF-16 units for bytes: what is not ASCII is rare in these documents, and the bound is no protocol's.
    if (taken.length > 0 && chars + line.length > most) yield flush();
    lines.push(line);
    chars += line.length;
    taken.push(entry);
  }
  if (taken.length > 0) yield flush();
}

/** Action and document as bulk wants them; ids are 27 characters without padding, so that Lucene packs them well. */
function operationOf(entry: IndicatorEntry, { target, context, again }: Encoding): string {
  const { alias } = context.collection;
  if (target !== 'latest') {
    const id = hash('sha1', `${alias} ${entry.objectId} ${entry.version}`, 'base64url');
    return `{"create":{"_id":"${id}"}}\n${writeEcs(entry, context)}\n`;
  }
  // Versions rise with the journal, so an operation that arrives late or twice can't undo a newer one.
  const type = again ? 'external_gte' : 'external';
  const version = `"_id":"${latestId(context, entry)}","version":${entry.dateAdded},"version_type":"${type}"`;
  if (entry.revoked) return `{"delete":{${version}}}\n`;
  return `{"index":{${version}}}\n${writeEcs(entry, context)}\n`;
}

/** One document per observable and collection: the key is a hash of the type and value that the pattern spells. */
function latestId({ collection }: EcsContext, { key }: IndicatorEntry): string {
  return hash('sha1', `${collection.alias} ${key}`, 'base64url');
}

function takeAll(
  { items = [] }: { items?: Record<string, Item>[] },
  entries: readonly IndicatorEntry[],
  report: PushReport,
  conflicts: IndicatorEntry[],
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
      if (action === 'index') conflicts.push(entry);
    } else if (CONDITIONS.has(typeOf(error)))
      throw refusal(new Answered(status, reasonOf({ error })), 'the index', where);
    else if (status === 429 || status >= 500) report.later.push(entry);
    else report.refused.push({ entry, reason: reasonOf({ error }) });
  }
}

function typeOf(error: unknown): string {
  const { type } = (error ?? {}) as { type?: unknown };
  return typeof type === 'string' ? type : '';
}

function refusal({ status, message }: Answered, destination: string, where: string): GatewayError {
  const hint = status === 404 ? ' Run `sluice sink setup`.' : '';
  return new GatewayError('sink-refused', `${where} takes nothing for ${destination} (${status}): ${message}.${hint}`);
}
