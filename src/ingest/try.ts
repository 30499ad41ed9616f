import type { ConfiguredFeed, FeedBatch, FeedContext, FeedResponse } from '../feeds/feed.ts';
import type { Clock, Millis } from '../model/clock.ts';
import type { TriedAnswer, TriedRejection, TriedRow, TryReport } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Observation, Rejection, StixObject } from '../model/observation.ts';
import type { Secret } from '../model/secret.ts';
import type { Pull, Writer } from '../store/store.ts';
import { redact, withoutSecrets } from '../upstream/redact.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { countersOf, normaliseBatch, type Rows } from './batch.ts';
import { combineRows } from './combine.ts';

export interface TryParts {
  clock: Clock;
  /** Read only: what of it is written is the account that requests spend from. */
  writer: Writer;
  /** Opens the network and the disk as if nothing had been read before, so that no answer is "unchanged". */
  openUpstream(feed: ConfiguredFeed, signal: AbortSignal): Promise<Upstream>;
  /** Called after each batch with the rows so far. */
  onRows?(rows: number): void;
  signal: AbortSignal;
}

/** How much is read; what comes after is not looked at, and counts are "at least". */
export const TRY_ROWS = 200_000;
const TRY_MS: Millis = 60_000;
/** Answers and examples of rejections that a report holds. */
const MAX_ANSWERS = 20;
const MAX_REASONS = 20;

/**
 * Reads a feed as its next poll would and says what it would bring. Nothing is written but what its requests spend: no row, no
 * cursor, no validator. Never throws: a failure is in the report, beside what came before it.
 */
export async function tryFeed(feed: ConfiguredFeed, rows: number, parts: TryParts): Promise<TryReport> {
  const { definition, format, options } = feed;
  const { clock, writer } = parts;
  const { name, mode, title } = definition;
  const report = newReport({ feed: name, format: format.name, mode, title });
  const cut = new AbortController();
  const over = new AbortController();
  const signal = AbortSignal.any([parts.signal, cut.signal]);
  const tooLong = new GatewayError('upstream-timeout', `The feed was not read to its end in ${TRY_MS / 1000} s.`);
  clock.sleep(TRY_MS, over.signal).then(
    () => cut.abort(tooLong),
    () => undefined,
  );
  let upstream: Upstream | null = null;
  try {
    upstream = await parts.openUpstream(feed, signal);
    const { cursor } = await writer.feedState(name);
    const { files, contributed } = upstream;
    const fetch = noted(upstream.fetch, report.answers);
    const batches = format.read({ options, cursor, now: () => clock.now(), fetch, files, contributed, signal });
    const running = { feed, upstream, report, rows, comparison: await startComparison(name, writer) };
    report.outcome = (await readBatches(batches, running, parts)) ? 'whole' : 'cut';
    report.against = await changesBy(running.comparison, report, mode === 'snapshot', writer);
  } catch (error) {
    const isCut = cut.signal.aborted && !parts.signal.aborted;
    report.outcome = isCut ? 'cut' : 'failed';
    if (!isCut) report.error = failureOf(error, upstream?.secrets() ?? []);
  } finally {
    over.abort();
    upstream?.committed();
  }
  report.requests = upstream?.requests() ?? 0;
  report.bytes = upstream?.bytes() ?? 0;
  return report;
}

function newReport(feed: Pick<TryReport, 'feed' | 'format' | 'mode' | 'title'>): TryReport {
  const counts = { requests: 0, bytes: 0, read: 0, accepted: 0, filtered: 0, refused: 0 };
  const found = { answers: [], rows: [], rejections: [], against: null, note: null, error: null };
  return { ...feed, outcome: 'failed', ...counts, ...found };
}

interface RunningTry {
  feed: ConfiguredFeed;
  upstream: Upstream;
  report: TryReport;
  /** How many are shown. */
  rows: number;
  comparison: Comparison;
}

/** Returns whether the pull was read to its end. */
async function readBatches(
  batches: AsyncIterable<FeedBatch>,
  running: RunningTry,
  { clock, writer, onRows }: TryParts,
): Promise<boolean> {
  const { feed, upstream, report, comparison } = running;
  for await (const batch of batches) {
    report.note ??= batch.note ?? null;
    for (const part of normaliseBatch(batch, feed.definition, clock.now())) {
      const { read, refused, filtered } = countersOf(part, 0);
      report.read += read;
      report.filtered += filtered;
      report.refused += refused;
      report.accepted += read - refused;
      show(part.rows, running);
      const secrets = upstream.secrets();
      for (const one of [...part.batch.rejected, ...part.rows.rejections]) count(one, report.rejections, secrets);
      await compare(part.rows, feed, comparison, writer);
    }
    upstream.committed();
    onRows?.(report.read);
    if (batch.last) return true;
    if (report.read >= TRY_ROWS) return false;
  }
  throw new GatewayError('upstream-malformed', `Feed ${feed.definition.name} ended without saying that it was whole.`);
}

/** Notes the first answers to a format's requests. */
function noted(fetch: FeedContext<unknown>['fetch'], answers: TriedAnswer[]): FeedContext<unknown>['fetch'] {
  return async (request) => {
    const response = await fetch(request);
    if (response !== null && answers.length < MAX_ANSWERS) answers.push(answerOf(request.url, response));
    return response;
  };
}

/** Of the address only the host: the rest may hold a key. */
function answerOf({ host }: URL, { status, headers }: FeedResponse): TriedAnswer {
  const text = (name: string): string | null => headers[name]?.slice(0, 256) ?? null;
  return { host, status, type: text('content-type'), etag: text('etag'), lastModified: text('last-modified') };
}

/** Adds rows to those that are shown, until there are enough. */
function show({ observations, objects }: Rows, { feed, upstream, report, rows }: RunningTry): void {
  const secrets = upstream.secrets();
  const left = rows - report.rows.length;
  if (left <= 0) return;
  const shown = [
    ...observations.slice(0, left).map((one) => rowOf(one, feed)),
    ...objects.slice(0, Math.max(0, left - observations.length)).map(objectOf),
  ];
  for (const row of shown) {
    const [value, name] = [redact(row.value, secrets), row.name === null ? null : redact(row.name, secrets)];
    report.rows.push({ ...row, value, name, labels: row.labels.map((label) => redact(label, secrets)) });
  }
}

/** As it would be merged: with the feed's own confidence and TLP where the row has none. */
function rowOf(one: Observation, { definition }: ConfiguredFeed): TriedRow {
  const { observable, name, labels, firstSeen, lastSeen, validFrom, validUntil, revoked } = one;
  const { confidence, tlp } = { confidence: one.confidence ?? definition.confidence, tlp: one.tlp ?? definition.tlp };
  return { ...observable, confidence, tlp, name, labels, firstSeen, lastSeen, validFrom, validUntil, revoked };
}

function objectOf({ type, id, raw }: StixObject): TriedRow {
  const name = typeof raw['name'] === 'string' ? raw['name'].slice(0, 256) : null;
  const times = { firstSeen: null, lastSeen: null, validFrom: null, validUntil: null };
  return { type, value: id, confidence: null, tlp: null, name, labels: [], ...times, revoked: false };
}

/** Counts a rejection by its reason, with the first as the example. */
function count(one: Rejection, all: TriedRejection[], secrets: readonly Secret[]): void {
  const { reason, detail, row } = one;
  const isNote = one.isNote === true;
  const known = all.find((other) => other.reason === reason && other.isNote === isNote);
  if (known !== undefined) known.count += 1;
  else if (all.length < MAX_REASONS) {
    all.push({ reason, isNote, count: 1, detail: redact(detail, secrets), row: redact(row, secrets) });
  }
}

/** What a pull says, held against what the store keeps of the feed. */
interface Comparison {
  pull: Pull;
  held: { observations: number; objects: number };
  fresh: Set<ObservableKey>;
  /** Held with another content. */
  different: Set<ObservableKey>;
  freshObjects: Set<string>;
  knownObjects: Set<string>;
  changedObjects: Set<string>;
}

async function startComparison(feed: string, writer: Writer): Promise<Comparison> {
  const { observations, objects } = await writer.feedState(feed);
  const keys = { fresh: new Set<ObservableKey>(), different: new Set<ObservableKey>() };
  const ids = { freshObjects: new Set<string>(), knownObjects: new Set<string>(), changedObjects: new Set<string>() };
  return { pull: await writer.beginPull(feed), held: { observations, objects }, ...keys, ...ids };
}

/** Marks in memory what is held as it is, and remembers the rest. */
async function compare(rows: Rows, { definition }: ConfiguredFeed, found: Comparison, writer: Writer): Promise<void> {
  if (rows.observations.length === 0 && rows.objects.length === 0) return;
  const combined = [...combineRows(rows.observations, definition).values()];
  const ids = [...new Set(rows.objects.map(({ id }) => id))];
  const { confirmed, versions } = await writer.transaction(async (tx) => ({
    confirmed: await tx.confirm(found.pull, combined),
    versions: await tx.objectVersions(definition.name, ids),
  }));
  for (const { key } of confirmed.fresh) found.fresh.add(key);
  for (const { key } of confirmed.different) found.different.add(key);
  for (const { id, version } of rows.objects) {
    if (!versions.has(id)) found.freshObjects.add(id);
    else {
      found.knownObjects.add(id);
      if (versions.get(id) !== version) found.changedObjects.add(id);
    }
  }
}

/** What the pull would change. `gone` is known of a whole snapshot only. */
async function changesBy(
  { pull, held, fresh, different, freshObjects, knownObjects, changedObjects }: Comparison,
  { outcome }: TryReport,
  isSnapshot: boolean,
  writer: Writer,
): Promise<TryReport['against']> {
  const { unseen, total } = await writer.transaction((tx) => tx.unseen(pull));
  const counts = {
    held: total,
    fresh: fresh.size + freshObjects.size,
    changed: different.size + changedObjects.size,
  };
  if (outcome !== 'whole' || !isSnapshot) return { ...counts, gone: null };
  const goneObjects = held.objects - knownObjects.size;
  return { ...counts, gone: Math.max(0, unseen - held.objects - different.size) + Math.max(0, goneObjects) };
}

function failureOf(thrown: unknown, secrets: readonly Secret[]): NonNullable<TryReport['error']> {
  const error = withoutSecrets(thrown, secrets);
  if (!(error instanceof GatewayError)) return { code: 'internal', message: 'The feed failed in an unforeseen way.' };
  const { code, message, excerpt } = error;
  return { code, message, ...(excerpt === undefined ? {} : { excerpt }) };
}
