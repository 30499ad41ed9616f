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
const FILTER = 'errors,items.*.status,items.*.error.type,items.*.error.reason';

/** Pushes entries as bulk requests of bounded size, several at a time. */
export function createPusher({ connection, target, destination, ...bounds }: PusherParts): Sink['push'] {
  const path = `/${encodeURIComponent(destination)}/_bulk`;
  const query = {
    filter_path: FILTER,
    // Without them a missing alias or template would let the first push make an index of its own kind.
    ...(target === 'latest' ? { require_alias: true } : target === 'stream' ? { require_data_stream: true } : {}),
  };

  const send = async (flush: Flush, context: EcsContext, report: PushReport, signal: AbortSignal): Promise<void> => {
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
      const halves = flushesOf(flush.entries, target, context, Math.ceil(flush.body.length / 2));
      for (const half of halves) await send(half, context, report, signal);
    }
  };

  return async (collection, entries, signal) => {
    const report: PushReport = { written: 0, unchanged: 0, refused: [], later: [] };
    const context = bounds.contextOf(collection);
    const flushes = flushesOf(entries, target, context, bounds.flushBytes);
    const work = async (): Promise<void> => {
      for (const flush of flushes) await send(flush, context, report, signal);
    };
    await Promise.all(Array.from({ length: bounds.concurrency }, work));
    return report;
  };
}

/** Bodies of up to `most` bytes, each made when it is asked for. */
function* flushesOf(
  entries: readonly IndicatorEntry[],
  target: EcsTarget,
  context: EcsContext,
  most: number,
): Generator<Flush> {
  let lines: string[] = [];
  let chars = 0;
  let taken: IndicatorEntry[] = [];
  const flush = (): Flush => {
    const done = { body: Buffer.from(lines.join('')), entries: taken };
    [lines, chars, taken] = [[], 0, []];
    return done;
  };
  for (const entry of entries) {
    const line = operationOf(entry, target, context);
    // UTF-16 units for bytes: what is not ASCII is rare in these documents, and the bound is no protocol's.
    if (taken.length > 0 && chars + line.length > most) yield flush();
    lines.push(line);
    chars += line.length;
    taken.push(entry);
  }
  if (taken.length > 0) yield flush();
}

/** Action and document as bulk wants them; ids are 27 characters without padding, so that Lucene packs them well. */
function operationOf(entry: IndicatorEntry, target: EcsTarget, context: EcsContext): string {
  const { alias } = context.collection;
  if (target !== 'latest') {
    const id = hash('sha1', `${alias} ${entry.objectId} ${entry.version}`, 'base64url');
    return `{"create":{"_id":"${id}"}}\n${writeEcs(entry, context)}\n`;
  }
  // Versions rise with the journal, so an operation that arrives late or twice can't undo a newer one.
  const version = `"_id":"${hash('sha1', `${alias} ${entry.key}`, 'base64url')}","version":${entry.dateAdded},"version_type":"external"`;
  if (entry.revoked) return `{"delete":{${version}}}\n`;
  return `{"index":{${version}}}\n${writeEcs(entry, context)}\n`;
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
    else if (status === 409 || (status === 404 && action === 'delete' && error === undefined)) report.unchanged += 1;
    else if (status === 429 || status >= 500) report.later.push(entry);
    else if (status === 404) throw refusal(new Answered(status, reasonOf({ error })), 'the index', where);
    else report.refused.push({ entry, reason: reasonOf({ error }) });
  }
}

function refusal({ status, message }: Answered, destination: string, where: string): GatewayError {
  const hint = status === 404 ? ' Run `sluice sink setup`.' : '';
  return new GatewayError('sink-refused', `${where} takes nothing for ${destination} (${status}): ${message}.${hint}`);
}
