import { hash } from 'node:crypto';
import type { EcsContext, EcsTarget } from '../../ecs/data-stream.ts';
import { writeEcs } from '../../ecs/document.ts';
import { documentTime } from '../../ecs/renewal.ts';
import type { Clock, Micros } from '../../model/clock.ts';
import type { IndicatorEntry } from '../../model/entry.ts';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import { Utf8Buffer } from '../../model/utf8-buffer.ts';
import { PushRejected, type PushReport, type Sink, type SinkCollection } from '../sink.ts';
import { type Connection, ErrorResponse, reasonOf, toGatewayError } from './connection.ts';

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

/** One bulk request: its NDJSON body, and the entries in it, one operation each. */
interface BulkRequest {
  body: Buffer;
  entries: IndicatorEntry[];
}

/** The parts of the response that are read. The others are most of its bytes, so they are not asked for. */
const FILTER = 'errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason';

/** Errors of the index, the role or the disk. They concern every document, so no document is refused for them. */
const INDEX_ERRORS = new Set([
  'security_exception',
  'cluster_block_exception',
  'index_closed_exception',
  'index_not_found_exception',
]);
/** Errors of a shard or node that is away or overloaded. They pass, so the entry is given again. */
const TEMPORARY_ERRORS = new Set([
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

/** Returns `Sink.push`: entries go out as bulk requests of bounded size, one after the other. */
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
    // Without these a first push before the setup would create an index with the wrong mapping.
    ...(target === 'latest' ? { require_alias: true } : target === 'stream' ? { require_data_stream: true } : {}),
  };

  const send = async (request: BulkRequest, how: Encoding, report: PushReport, signal: AbortSignal): Promise<void> => {
    try {
      const response = await connection.send({ method: 'POST', path, query, body: request.body }, signal);
      reportItems(itemsOf(response), request.entries, report, connection.where);
    } catch (error) {
      if (!(error instanceof ErrorResponse)) throw error;
      if (error.status !== 413) throw rejectionOf(error, destination, connection.where);
      const [only, ...others] = request.entries;
      if (only === undefined) return;
      if (others.length === 0) {
        report.refused.push({ entry: only, reason: 'the document is larger than the cluster takes' });
        return;
      }
      // 413: a proxy in front of the cluster takes smaller bodies than configured.
      const halves = bulkRequests(request.entries, how, Math.ceil(request.body.length / 2));
      for (const half of halves) await send(half, how, report, signal);
    }
  };

  const sendAll = async (
    entries: readonly IndicatorEntry[],
    how: Encoding,
    report: PushReport,
    signal: AbortSignal,
  ) => {
    for (const request of bulkRequests(entries, how, flushBytes)) await send(request, how, report, signal);
  };

  return async (collection, entries, signal, overwrite = false) => {
    const report: PushReport = { written: 0, unchanged: 0, refused: [], later: [] };
    // `compat` gets no tombstones: the guide's queries would count one as a further sighting.
    const sent = target === 'compat' ? entries.filter(({ revoked }) => !revoked) : entries;
    report.unchanged += entries.length - sent.length;
    await sendAll(sent, { target, context: contextOf(collection), overwrite, now: clock.now() }, report, signal);
    return report;
  };
}

/** How entries become bulk operations. */
interface Encoding {
  target: EcsTarget;
  context: EcsContext;
  /** Writes a version again that the index has, or that it remembers as deleted. */
  overwrite: boolean;
  now: Micros;
}

/** Yields requests of up to `maxBytes`, one operation at least. Each body is made when it is asked for. */
function* bulkRequests(entries: readonly IndicatorEntry[], how: Encoding, maxBytes: number): Generator<BulkRequest> {
  const initialBytes = Math.min(maxBytes, entries.length * USUAL_BYTES);
  let body = new Utf8Buffer(Buffer.allocUnsafe(initialBytes));
  let taken: IndicatorEntry[] = [];
  for (const entry of entries) {
    const text = operationOf(entry, how);
    // UTF-16 units stand for bytes: nearly all of a document is ASCII, and the limit need not be exact.
    if (taken.length > 0 && body.length + text.length > maxBytes) {
      yield { body: body.bytes(), entries: taken };
      [body, taken] = [new Utf8Buffer(Buffer.allocUnsafe(initialBytes)), []];
    }
    body.add(text);
    taken.push(entry);
  }
  if (taken.length > 0) yield { body: body.bytes(), entries: taken };
}

/** Bytes of a usual operation with its document. A body that begins large enough is not copied while it grows. */
const USUAL_BYTES = 2560;

/** The lines of one bulk operation. Document ids are SHA-1 in base64url without padding, 27 characters, which Lucene packs well. */
function operationOf(entry: IndicatorEntry, { target, context, overwrite, now }: Encoding): string {
  const { alias } = context.collection;
  if (target !== 'latest') {
    // `compat` has no renewals: the guide counts documents, so each would be a further sighting.
    const at = target === 'stream' ? documentTime(entry, now) : entry.version;
    const id = hash('sha1', `${alias} ${entry.objectId} ${at}`, 'base64url');
    return `{"create":{"_id":"${id}"}}\n${writeEcs(entry, context, at)}\n`;
  }
  // The version is the journal's date, so an operation that arrives late or twice can't undo a newer one.
  const type = overwrite ? 'external_gte' : 'external';
  const version = `"_id":"${latestId(context, entry)}","version":${entry.dateAdded},"version_type":"${type}"`;
  if (entry.revoked) return `{"delete":{${version}}}\n`;
  return `{"index":{${version}}}\n${writeEcs(entry, context, documentTime(entry, now))}\n`;
}

/** `_id` in `latest`: one document per observable and collection. `key` is a hash of type and value (model/observable.ts). */
function latestId({ collection }: EcsContext, { key }: IndicatorEntry): string {
  return hash('sha1', `${collection.alias} ${key}`, 'base64url');
}

/** The result of one operation: its action (`index`, `create`, `delete`), HTTP status and error. */
interface BulkItem {
  action: string;
  status: number;
  error: Json | undefined;
}

/** `items` of a bulk response: one object per operation, whose only member is named by the action. */
function itemsOf({ items }: JsonObject): BulkItem[] {
  return (Array.isArray(items) ? items : []).map((item) => {
    const [[action, result] = ['', null]] = isJsonObject(item) ? Object.entries(item) : [];
    const { status, error } = isJsonObject(result) ? result : {};
    return { action, status: typeof status === 'number' ? status : 0, error };
  });
}

/** Adds the result of each operation to `report`. Throws when the response does not answer for each, or for an INDEX_ERRORS. */
function reportItems(
  items: readonly BulkItem[],
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
  for (const [i, entry] of entries.entries()) {
    const { action = '', status = 0, error } = items[i] ?? {};
    if (status >= 200 && status < 300) report.written += 1;
    // 409: the index has this version or a newer one. 404 for a delete: it never had the document.
    else if (status === 409 || (status === 404 && action === 'delete' && error === undefined)) {
      report.unchanged += 1;
    } else if (INDEX_ERRORS.has(typeOf(error))) {
      throw toGatewayError(new ErrorResponse(status, reasonOf({ error })), where, 'takes nothing for the index');
    } else if (status === 429 || status >= 500) {
      const isBusy = status === 429 || TEMPORARY_ERRORS.has(typeOf(error));
      report.later.push({ entry, reason: reasonOf({ error }), isBusy });
    } else report.refused.push({ entry, reason: reasonOf({ error }) });
  }
}

function typeOf(error: Json | undefined): string {
  return isJsonObject(error) && typeof error['type'] === 'string' ? error['type'] : '';
}

/** 404: the index is missing, which is a matter of the setup. Any other status may be the fault of what was sent. */
function rejectionOf(response: ErrorResponse, destination: string, where: string): GatewayError {
  const error = toGatewayError(response, where, `takes nothing for ${destination}`);
  if (response.status === 404) return error;
  const { code, message, retryAfter } = error;
  return new PushRejected(code, message, retryAfter === undefined ? {} : { retryAfter });
}
