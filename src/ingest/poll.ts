import type { ConfiguredFeed, FeedBatch } from '../feeds/feed.ts';
import type { Clock, Micros } from '../model/clock.ts';
import type { PollReport } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import type { Rejection } from '../model/observation.ts';
import type { Secret } from '../model/secret.ts';
import { type FeedState, type HeldBack, heldIn } from '../model/state.ts';
import { addPublished, type Changes, type Published } from '../publish/changes.ts';
import type { Journals } from '../publish/journals.ts';
import { freshnessWhileRead } from '../publish/journals.ts';
import { publish } from '../publish/publish.ts';
import { review } from '../publish/review.ts';
import type { Writer } from '../store/store.ts';
import { redact, withoutSecrets } from '../upstream/redact.ts';
import type { Upstream } from '../upstream/upstream.ts';
import {
  type BatchPart,
  type Counters,
  countersAfterBatch,
  countersOf,
  countersOfWhole,
  NO_ROWS,
  normaliseBatch,
  sumOf,
} from './batch.ts';
import { forgetUnsaid } from './ended-versions.ts';
import { type Doubt, doubtRows, doubtWithdrawals, noteOnSize } from './guards.ts';
import { saveDefinitions } from './markings.ts';
import { describeGap, keepAttempt, keepConfirmed, keepFailure, succeeded } from './poll-state.ts';
import { type FeedPull, startPull } from './pull.ts';
import { saveRows } from './save.ts';
import { removeVanished } from './vanished.ts';

export interface PollParts {
  clock: Clock;
  writer: Writer;
  journals: Journals;
  openUpstream(feed: ConfiguredFeed): Promise<Upstream>;
  /** Is given what nobody foresaw: the report only says that something failed. */
  report(error: unknown): void;
  /** Called after each batch with the rows so far. */
  onRows?(rows: number): void;
  signal: AbortSignal;
}

export interface PollOptions {
  /** A snapshot is taken whatever its size: an operator has looked at it. */
  acceptShrink?: boolean;
}

/**
 * One poll: fetches and parses the feed, normalises its rows, saves what they say and publishes what changed, a transaction per
 * batch. Never throws: a failure is in the report and in the feed's state, and what was served stays served.
 */
export async function poll(
  feed: ConfiguredFeed,
  parts: PollParts,
  { acceptShrink = false }: PollOptions = {},
): Promise<PollReport> {
  const { definition, format, options } = feed;
  const { clock, writer, journals, signal } = parts;
  const startedAt = clock.now();
  const report = newReport(definition.name);
  let upstream: Upstream | null = null;
  let running: RunningPoll | null = null;
  try {
    upstream = await parts.openUpstream(feed);
    await keepAttempt(definition, startedAt, parts);
    const pull = startPull(definition, await writer.beginPull(definition.name));
    const { cursor } = await writer.feedState(definition.name);
    running = {
      feed,
      acceptShrink,
      pull,
      upstream,
      startedAt,
      cursor,
      note: null,
      counters: NO_ROWS,
      heldBack: null,
      report,
    };
    const { fetch, files } = upstream;
    const batches = format.read({ options, cursor, now: () => clock.now(), fetch, files, signal });
    if (await readBatches(batches, running, parts)) report.outcome = 'whole';
    else if (upstream.isUnchanged()) {
      await keepConfirmed(definition, startedAt, parts);
      report.outcome = 'unchanged';
    } else
      throw new GatewayError('upstream-malformed', `Feed ${definition.name} ended without saying that it was whole.`);
    await review(journals, definition, signal, report);
  } catch (error) {
    if (!(error instanceof GatewayError) && !signal.aborted) parts.report(error);
    const heldBack = running?.heldBack ?? null;
    report.error = await keepFailure(
      definition,
      withoutSecrets(error, upstream?.secrets() ?? []),
      startedAt,
      parts,
      heldBack,
    );
    report.outcome = heldBack === null ? 'failed' : 'held-back';
  } finally {
    upstream?.committed();
  }
  report.requests = upstream?.requests() ?? 0;
  return report;
}

function newReport(feed: string): PollReport {
  return { feed, outcome: 'failed', requests: 0, accepted: 0, rejected: 0, entries: 0, withdrawn: 0, error: null };
}

/** Normalises and commits batch after batch; returns whether the last said that it was the last. */
async function readBatches(
  batches: AsyncIterable<FeedBatch>,
  running: RunningPoll,
  parts: PollParts,
): Promise<boolean> {
  let isWhole = false;
  for await (const batch of batches) {
    isWhole = batch.last;
    running.note ??= batch.note ?? null;
    for (const part of normaliseBatch(batch, running.feed.definition, parts.clock.now())) {
      await commitBatch(part, running, parts);
      parts.onRows?.(running.counters.read);
    }
    running.upstream.committed();
  }
  return isWhole;
}

/** A poll under way. */
interface RunningPoll {
  feed: ConfiguredFeed;
  acceptShrink: boolean;
  pull: FeedPull;
  upstream: Upstream;
  startedAt: Micros;
  /** Where the pull began. */
  cursor: string | null;
  /** The first note that a batch of this pull had. */
  note: string | null;
  /** What became of the rows of its batches so far. */
  counters: Counters;
  /** Set once it is not believed. */
  heldBack: HeldBack | null;
  report: PollReport;
}

/**
 * Saves a batch and publishes what it changed, in one transaction. Throws `upstream-malformed` when the pull is not believed: of a batch
 * that tells so by its rows only the rejections are kept, and a snapshot that would withdraw too much only adds what is new.
 */
async function commitBatch(part: BatchPart, running: RunningPoll, parts: PollParts): Promise<void> {
  const { feed, acceptShrink } = running;
  const sum = sumOf(running.counters, countersOf(part, 0));
  const mayDoubt = sum.refused > 0 || feed.definition.expectRows !== undefined;
  const ofRows = mayDoubt ? doubtRows(feed.definition, sum, part.batch.last, acceptShrink) : null;
  const ofWithdrawals = await saveBatch(ofRows === null ? part : onlyRejections(part), running, parts);
  const doubt = ofRows ?? ofWithdrawals;
  if (doubt === null) return;
  running.heldBack = doubt.heldBack;
  throw new GatewayError('upstream-malformed', doubt.message);
}

async function saveBatch(
  part: BatchPart,
  running: RunningPoll,
  { writer, journals, clock }: PollParts,
): Promise<Doubt | null> {
  const { rows, batch } = part;
  const { pull, upstream, report, acceptShrink } = running;
  const feed = running.feed.definition;
  const isSnapshot = feed.mode === 'snapshot';
  const now = clock.now();
  const { published, counters, doubt } = await writer.transaction(async (tx) => {
    const before = await tx.feedState(feed.name);
    const contexts = await journals.contextsOf(tx, freshnessWhileRead(feed, now), now);
    const published: Published = { entries: 0, withdrawn: 0 };
    const publishAll = async (all: AsyncIterable<Changes>): Promise<void> => {
      for await (const changes of all) addPublished(published, await publish(tx, contexts, changes, now));
    };

    await publishAll(saveRows(tx, pull, rows, batch.last, now));
    const inserted = heldIn(await tx.feedState(feed.name)) - heldIn(before);
    const notes = batch.last ? await saveDefinitions(tx, pull) : [];
    const gaps = batch.gap ? [describeGap(batch.gap)] : [];
    const rejections = [...gaps, ...batch.rejected, ...rows.rejections, ...notes];
    const { added, first } = await tx.reject(pull.mark, redacted(rejections, upstream.secrets()), now);

    const ofBatch = countersOf(part, first);
    const counters = sumOf(running.counters, ofBatch);
    const mayWithdraw = isSnapshot && batch.last;
    const doubt = mayWithdraw && !acceptShrink ? await doubtWithdrawals(tx, pull, counters) : null;
    const isWholeSnapshot = mayWithdraw && doubt === null;
    if (isWholeSnapshot) {
      const isExpanded = contexts.some(({ definition }) => definition.policy.expandCidr !== null);
      await forgetUnsaid(tx, pull, now);
      await publishAll(removeVanished(tx, pull, isExpanded));
      await tx.forgetRejections(pull.mark);
    }
    const isWhole = batch.last && doubt === null;
    await tx.saveFeedState(feed.name, {
      ...stateOf({ ...batch, last: isWhole }, running, counters, now),
      ...(isWholeSnapshot
        ? await countersOfWhole(tx, pull.mark, counters)
        : countersAfterBatch(feed.mode, before, ofBatch, inserted, added)),
      ...(isWhole ? outcomeOf(counters) : {}),
    });
    return { published, counters, doubt };
  });
  running.counters = counters;
  addPublished(report, published);
  Object.assign(report, outcomeOf(counters));
  return doubt;
}

/** What is kept of a batch that shows that the pull is not what it should be. */
function onlyRejections({ rows, batch }: BatchPart): BatchPart {
  const { rejections, refused } = rows;
  return {
    rows: { observations: [], objects: [], silent: [], rejections, accepted: 0, filtered: 0, refused },
    batch: { items: [], rejected: batch.rejected, cursor: null, last: false },
  };
}

/** What a batch changes in the state of its feed, beside the counters. */
function stateOf(
  batch: FeedBatch,
  running: RunningPoll,
  counters: Counters,
  now: Micros,
): Partial<Omit<FeedState, 'feed'>> {
  const { feed, upstream, startedAt } = running;
  const { definition } = feed;
  const note = running.note ?? (batch.last ? noteOnSize(definition, counters) : null);
  // Rows that were added are not among those that the last whole pull's validators stand for.
  const isMixed = definition.mode === 'snapshot' && !batch.last;
  const hasMoved = batch.last && batch.cursor !== null && batch.cursor !== running.cursor;
  return {
    ...(batch.cursor === null ? {} : { cursor: batch.cursor }),
    ...(hasMoved ? { movedAt: startedAt } : {}),
    ...(batch.gap ? { gap: { ...batch.gap, at: now } } : {}),
    ...(note !== null || batch.last
      ? { note: note === null ? null : { text: redact(note, upstream.secrets()), at: now } }
      : {}),
    ...(isMixed ? { etag: null, lastModified: null, bodyHash: null } : {}),
    ...(batch.last ? { ...upstream.validators(), ...succeeded(definition, startedAt, now) } : {}),
  };
}

function outcomeOf({ read, refused }: Counters): Pick<PollReport, 'accepted' | 'rejected'> {
  return { accepted: read - refused, rejected: refused };
}

function redacted(rejections: readonly Rejection[], secrets: readonly Secret[]): Rejection[] {
  return rejections.map((one) => ({ ...one, detail: redact(one.detail, secrets), row: redact(one.row, secrets) }));
}
