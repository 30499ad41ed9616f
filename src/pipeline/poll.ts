import { BATCH_ROWS, type FeedBatch, type FeedContext, type FeedFormat, type FeedItem } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { PollReport } from '../model/control.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import type { Observation, Rejection, StixObject } from '../model/observation.ts';
import { normalise } from '../normalise/normalise.ts';
import type { Pull, Transaction, Writer } from '../store/store.ts';
import { combineRows } from './combine.ts';
import type { Journals } from './journals.ts';

/** A feed of the configuration with its format and what its format was told. */
export interface ConfiguredFeed {
  definition: FeedDefinition;
  format: FeedFormat;
  options: unknown;
}

/** The network and the disk as one poll gets them: budgeted, conditional, capped. */
export interface Upstream {
  fetch: FeedContext<unknown>['fetch'];
  files: FeedContext<unknown>['files'];
  /** Upstream requests sent so far. */
  requests(): number;
  /** Everything the format asked for is as the last whole pull left it. */
  isUnchanged(): boolean;
  /** What a whole pull commits. */
  validators(): { etag: string | null; lastModified: string | null; bodyHash: string | null };
}

export interface PollParts {
  clock: Clock;
  writer: Writer;
  journals: Journals;
  openUpstream(feed: ConfiguredFeed): Promise<Upstream>;
  signal: AbortSignal;
}

/** Rows of a batch that are kept, merged and journalled before the next: what they need on the way stays young garbage. */
const HEARD_AT_ONCE = 1000;
/** Vanished rows taken out per store call. */
const VANISHED_SLICE = BATCH_ROWS;
const FIRST_RETRY = 30 * MICROS_PER_SECOND;
/** A guard that holds back a collapse means nothing for a handful of rows. */
const GUARD_FROM_ROWS = 20;

/**
 * One poll: reads the feed, keeps what it says, and brings every journal that hears it up to date, a transaction per batch.
 * Never throws: a failure is in the report and in the feed's state, and what was served stays served.
 */
export async function poll(feed: ConfiguredFeed, parts: PollParts): Promise<PollReport> {
  const { name } = feed.definition;
  const { clock, writer, signal } = parts;
  const startedAt = clock.now();
  const report: PollReport = {
    feed: name,
    outcome: 'failed',
    requests: 0,
    accepted: 0,
    rejected: 0,
    entries: 0,
    withdrawn: 0,
    error: null,
  };
  let upstream: Upstream | null = null;
  try {
    upstream = await parts.openUpstream(feed);
    const { fetch, files } = upstream;
    const pull = await writer.beginPull(name);
    const { cursor } = await writer.feedState(name);
    const read = feed.format.read({ options: feed.options, cursor, now: () => clock.now(), fetch, files, signal });
    let isWhole = false;
    for await (const batch of read) {
      isWhole = batch.last;
      await commitBatch(feed, batch, pull, upstream, startedAt, parts, report);
    }
    if (isWhole) report.outcome = 'whole';
    else if (upstream.isUnchanged()) {
      await confirm(feed, startedAt, parts);
      report.outcome = 'unchanged';
    } else throw new GatewayError('upstream-malformed', `Feed ${name} ended without saying that it was whole.`);
  } catch (error) {
    report.error = await remember(feed, error, startedAt, parts);
    report.outcome = isHeldBack(error) ? 'held-back' : 'failed';
  }
  report.requests = upstream?.requests() ?? 0;
  return report;
}

async function commitBatch(
  feed: ConfiguredFeed,
  batch: FeedBatch,
  pull: Pull,
  upstream: Upstream,
  startedAt: Micros,
  { writer, journals, clock }: PollParts,
  report: PollReport,
): Promise<void> {
  const now = clock.now();
  const rows = readItems(batch.items, feed.definition, now);
  const rejections = [...batch.rejected, ...rows.rejections];
  const { definition } = feed;
  await writer
    .transaction(async (tx) => {
      const counts = { entries: 0, withdrawn: 0 };
      const observations = combineRows(rows.observations);
      for (let start = 0; start < observations.length; start += HEARD_AT_ONCE) {
        const touched = await tx.observe(pull, observations.slice(start, start + HEARD_AT_ONCE));
        await journals.hear(tx, definition, touched, [], now, counts);
      }
      const objects = await tx.observeObjects(pull, rows.objects);
      await journals.hear(tx, definition, [], objects, now, counts);
      if (rejections.length > 0) await tx.reject(definition.name, rejections, now);
      if (batch.cursor !== null) await tx.saveFeedState(definition.name, { cursor: batch.cursor });
      const accepted = report.accepted + rows.observations.length + rows.objects.length;
      const rejected = report.rejected + batch.rejected.length + rows.refused;
      if (batch.last) {
        if (definition.mode === 'snapshot')
          await withdrawVanished(tx, definition, pull, accepted, now, journals, counts);
        await tx.saveFeedState(definition.name, {
          ...upstream.validators(),
          ...succeeded(definition, startedAt, now),
          accepted,
          rejected,
        });
      }
      return { counts, accepted, rejected };
    })
    .then(({ counts, accepted, rejected }) => {
      report.entries += counts.entries;
      report.withdrawn += counts.withdrawn;
      report.accepted = accepted;
      report.rejected = rejected;
    });
}

interface Rows {
  observations: Observation[];
  objects: StixObject[];
  rejections: Rejection[];
  /** Rows not taken; a note on a row that was taken is a rejection of one property only. */
  refused: number;
}

function readItems(items: readonly FeedItem[], feed: FeedDefinition, now: Micros): Rows {
  const rows: Rows = { observations: [], objects: [], rejections: [], refused: 0 };
  for (const item of items) {
    const result = normalise(item, feed, now);
    if (result.kind === 'rejection') {
      rows.rejections.push(result.rejection);
      rows.refused += 1;
    } else {
      if (result.kind === 'object') rows.objects.push(result.object);
      else rows.observations.push(datedBy(result.observation, feed, now));
      if (result.note !== undefined) rows.rejections.push(result.note);
    }
  }
  return rows;
}

/** A delta feed that gives no date at all has seen the row now: nothing else will ever say how old it is. */
function datedBy(observation: Observation, feed: FeedDefinition, now: Micros): Observation {
  const { lastSeen, firstSeen, validFrom, validUntil } = observation;
  if (
    feed.mode === 'snapshot' ||
    lastSeen !== null ||
    firstSeen !== null ||
    validFrom !== null ||
    validUntil !== null
  ) {
    return observation;
  }
  return { ...observation, lastSeen: now };
}

/** What a whole snapshot no longer holds leaves every journal; a collapse that can't be meant is held back. */
async function withdrawVanished(
  tx: Transaction,
  feed: FeedDefinition,
  pull: Pull,
  accepted: number,
  now: Micros,
  journals: Journals,
  counts: { entries: number; withdrawn: number },
): Promise<void> {
  const { unseen, total } = await tx.unseen(pull);
  if (unseen === 0) return;
  const isEmpty = accepted === 0 && !feed.emptyAllowed;
  const shrinks = feed.shrinkGuard !== null && total >= GUARD_FROM_ROWS && unseen > total * feed.shrinkGuard;
  if (isEmpty || shrinks) {
    throw new GatewayError(
      'upstream-malformed',
      `Feed ${feed.name} would lose ${unseen} of ${total} rows at once; held back and still served.`,
      { details: { held_back: 'true' } },
    );
  }
  for (;;) {
    const keys = await tx.removeUnseen(pull, VANISHED_SLICE);
    if (keys.length === 0) break;
    await journals.hear(tx, feed, keys, [], now, counts);
  }
  for (;;) {
    const ids = await tx.removeUnseenObjects(pull, VANISHED_SLICE);
    if (ids.length === 0) break;
    await journals.forget(tx, feed, ids, counts);
  }
}

/** A 304 or an equal body confirms every row of a snapshot at once, without touching one. */
async function confirm({ definition }: ConfiguredFeed, startedAt: Micros, { writer, clock }: PollParts): Promise<void> {
  const now = clock.now();
  await writer.transaction((tx) => tx.saveFeedState(definition.name, succeeded(definition, startedAt, now)));
}

function succeeded(feed: FeedDefinition, startedAt: Micros, now: Micros) {
  return {
    ...(feed.mode === 'snapshot' ? { confirmedAt: now } : {}),
    succeededAt: now,
    attemptedAt: startedAt,
    nextPollAt: startedAt + feed.every * MICROS_PER_MS,
    failures: 0,
    error: null,
  };
}

async function remember(
  { definition }: ConfiguredFeed,
  thrown: unknown,
  startedAt: Micros,
  { writer, clock }: PollParts,
): Promise<NonNullable<PollReport['error']>> {
  const error =
    thrown instanceof GatewayError
      ? thrown
      : new GatewayError('internal', `Feed ${definition.name} failed in an unforeseen way.`, { cause: thrown });
  const now = clock.now();
  await writer.transaction(async (tx) => {
    const { failures } = await tx.feedState(definition.name);
    const backoff = Math.min(definition.every * MICROS_PER_MS, FIRST_RETRY * 2 ** Math.min(failures, 16));
    const wait = Math.max(backoff, (error.retryAfter ?? 0) * MICROS_PER_SECOND);
    await tx.saveFeedState(definition.name, {
      attemptedAt: startedAt,
      nextPollAt: now + wait,
      failures: failures + 1,
      error: { code: error.code, message: error.message, at: now },
    });
  });
  return { code: error.code, message: error.message };
}

function isHeldBack(error: unknown): boolean {
  return error instanceof GatewayError && error.details?.['held_back'] === 'true';
}
