import type { ConfiguredFeed, FeedBatch } from '../feeds/feed.ts';
import type { Clock, Micros } from '../model/clock.ts';
import type { PollReport } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import type { Rejection } from '../model/observation.ts';
import { type FeedState, type HeldBack, heldIn } from '../model/state.ts';
import { addPublished, type Changes, type Published } from '../publish/changes.ts';
import type { Journals } from '../publish/journals.ts';
import { freshnessWhileRead } from '../publish/journals.ts';
import { publish } from '../publish/publish.ts';
import { review } from '../publish/review.ts';
import { followSuppressFeed, noteSuppressFeed } from '../publish/suppress-feed-changes.ts';
import type { Transaction, Writer } from '../store/store.ts';
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
  onlyRejections,
  sumOf,
} from './batch.ts';
import { type Doubt, doubtRows, doubtWithdrawals, noteOnSize } from './guards.ts';
import { lastChange } from './last-change.ts';
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
  const { definition } = feed;
  const { clock, writer, journals, signal } = parts;
  const startedAt = clock.now();
  const report = newReport(definition.name);
  let upstream: Upstream | null = null;
  let running: RunningPoll | null = null;
  try {
    upstream = await parts.openUpstream(feed);
    await keepAttempt(definition, startedAt, parts);
    const pull = startPull(definition, await writer.beginPull(definition.name));
    const before = await writer.feedState(definition.name);
    const begun = { note: null, counters: NO_ROWS, hasChanges: false, heldBack: null };
    running = { feed, acceptShrink, pull, upstream, startedAt, before, report, ...begun };
    report.outcome = await readFeed(running, parts);
    await review(journals, definition, signal, report);
    await followSuppressFeed(journals, definition.name, signal, report);
  } catch (error) {
    if (!(error instanceof GatewayError) && !signal.aborted) parts.report(error);
    const heldBack = running?.heldBack ?? null;
    const failure = withoutSecrets(error, upstream?.secrets() ?? []);
    report.error = await keepFailure(definition, failure, startedAt, parts, heldBack);
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

/** A poll under way. */
interface RunningPoll {
  feed: ConfiguredFeed;
  acceptShrink: boolean;
  pull: FeedPull;
  upstream: Upstream;
  startedAt: Micros;
  /** The state of the feed when the pull began. */
  before: FeedState;
  /** The first note that a batch of this pull had. */
  note: string | null;
  /** What became of the rows of its batches so far. */
  counters: Counters;
  /** Rows came, changed or left. */
  hasChanges: boolean;
  /** Set once the pull is held back (guards.ts). */
  heldBack: HeldBack | null;
  report: PollReport;
}

/**
 * Fetches and parses the feed; its batches are normalised and committed one after another, as they come. Throws `upstream-malformed`
 * when the feed ends without saying that it was whole or unchanged.
 */
async function readFeed(running: RunningPoll, parts: PollParts): Promise<'whole' | 'unchanged'> {
  const { feed, upstream, before, startedAt } = running;
  const { cursor } = before;
  const { definition, format, options } = feed;
  const { clock, signal } = parts;
  const { fetch, files, contributed } = upstream;
  let isWhole = false;
  for await (const batch of format.read({
    options,
    cursor,
    now: () => clock.now(),
    fetch,
    files,
    contributed,
    signal,
  })) {
    isWhole = batch.last;
    running.note ??= batch.note ?? null;
    for (const part of normaliseBatch(batch, definition, clock.now())) {
      await commitPart(part, running, parts);
      parts.onRows?.(running.counters.read);
    }
    upstream.committed();
  }
  if (isWhole) return 'whole';
  if (!upstream.isUnchanged())
    throw new GatewayError('upstream-malformed', `Feed ${definition.name} ended without saying that it was whole.`);
  await keepConfirmed(definition, startedAt, upstream.freshUntil(), parts);
  return 'unchanged';
}

/**
 * Saves a part of a batch and publishes what it changed. Throws `upstream-malformed` when the pull is held back: of a part whose rows
 * are the reason only the rejections are kept, and a snapshot that would withdraw too much only adds what is new.
 */
async function commitPart(part: BatchPart, running: RunningPoll, parts: PollParts): Promise<void> {
  const { feed, acceptShrink } = running;
  const sum = sumOf(running.counters, countersOf(part, 0));
  const mayDoubt = sum.refused > 0 || feed.definition.expectRows !== undefined;
  const ofRows = mayDoubt ? doubtRows(feed.definition, sum, part.batch.last, acceptShrink) : null;
  const ofWithdrawals = await savePart(ofRows === null ? part : onlyRejections(part), running, parts);
  const doubt = ofRows ?? ofWithdrawals;
  if (doubt === null) return;
  running.heldBack = doubt.heldBack;
  throw new GatewayError('upstream-malformed', doubt.message);
}

/** Saves and publishes a part in one transaction. Returns a doubt when a snapshot would withdraw too much, else null. */
async function savePart(
  part: BatchPart,
  running: RunningPoll,
  { writer, journals, clock }: PollParts,
): Promise<Doubt | null> {
  const { rows, batch } = part;
  const { pull, report, acceptShrink } = running;
  const feed = running.feed.definition;
  const now = clock.now();
  const { published, counters, doubt, hasChanges } = await writer.transaction(async (tx) => {
    const before = await tx.feedState(feed.name);
    const contexts = await journals.contextsOf(tx, freshnessWhileRead(feed, now), now);
    const published: Published = { entries: 0, withdrawn: 0 };
    const isSuppressing = journals.suppressedBy(feed.name).length > 0;
    let { hasChanges } = running;
    const publishAll = async (all: AsyncIterable<Changes>): Promise<void> => {
      for await (const changes of all) {
        hasChanges ||= changes.keys.length + changes.objects.length > 0;
        if (isSuppressing) await noteSuppressFeed(tx, journals, feed.name, changes);
        addPublished(published, await publish(tx, contexts, changes, now));
      }
    };

    await publishAll(saveRows(tx, pull, rows, batch.last, now));
    const inserted = heldIn(await tx.feedState(feed.name)) - heldIn(before);
    const { added, first } = await tx.reject(pull.mark, await rejectionsOf(part, running, tx), now);
    const ofPart = countersOf(part, first);
    const counters = sumOf(running.counters, ofPart);

    const mayWithdraw = feed.mode === 'snapshot' && batch.last;
    const doubt = mayWithdraw && !acceptShrink ? await doubtWithdrawals(tx, pull, counters) : null;
    const isWhole = batch.last && doubt === null;
    const isWholeSnapshot = mayWithdraw && isWhole;
    if (isWholeSnapshot) {
      const isExpanded = contexts.some(({ definition }) => definition.policy.expandCidr !== null);
      await publishAll(removeVanished(tx, pull, isExpanded || isSuppressing, now));
    }
    await tx.saveFeedState(feed.name, {
      ...stateOf({ ...batch, last: isWhole }, { ...running, counters, hasChanges }, now),
      ...(isWholeSnapshot
        ? await countersOfWhole(tx, pull.mark, counters)
        : countersAfterBatch(feed.mode, before, ofPart, inserted, added)),
      ...(isWhole ? outcomeOf(counters) : {}),
    });
    return { published, counters, doubt, hasChanges };
  });
  Object.assign(running, { counters, hasChanges });
  addPublished(report, published);
  Object.assign(report, outcomeOf(counters));
  return doubt;
}

/** The rows that were refused, with notes on gaps and missing definitions. Secrets of the feed are taken out. */
async function rejectionsOf({ rows, batch }: BatchPart, running: RunningPoll, tx: Transaction): Promise<Rejection[]> {
  const gaps = batch.gap ? [describeGap(batch.gap)] : [];
  const notes = batch.last ? await saveDefinitions(tx, running.pull) : [];
  const secrets = running.upstream.secrets();
  return [...gaps, ...batch.rejected, ...rows.rejections, ...notes].map((one) => {
    return { ...one, detail: redact(one.detail, secrets), row: redact(one.row, secrets) };
  });
}

/** What a batch changes in the state of its feed, beside the counters. */
function stateOf(
  batch: FeedBatch,
  { feed, upstream, startedAt, before, counters, hasChanges, note: noted }: RunningPoll,
  now: Micros,
): Partial<Omit<FeedState, 'feed'>> {
  const { definition } = feed;
  const note = noted ?? (batch.last ? noteOnSize(definition, counters) : null);
  // The validators of the last whole pull don't stand for rows that were added since.
  const isMixed = definition.mode === 'snapshot' && !batch.last;
  const hasMoved = batch.last && batch.cursor !== null && batch.cursor !== before.cursor;
  const answer = batch.last ? upstream.validators() : null;
  return {
    ...(batch.cursor === null ? {} : { cursor: batch.cursor }),
    ...(hasMoved ? { movedAt: startedAt } : {}),
    ...(batch.gap ? { gap: { ...batch.gap, at: now } } : {}),
    ...(note !== null || batch.last
      ? { note: note === null ? null : { text: redact(note, upstream.secrets()), at: now } }
      : {}),
    ...(isMixed ? { etag: null, lastModified: null, bodyHash: null } : {}),
    ...(hasChanges ? { changedAt: now } : {}),
    ...(answer === null
      ? {}
      : {
          ...answer,
          changedAt: lastChange(before, { hasChanges, answer }, now),
          ...succeeded(definition, startedAt, upstream.freshUntil(), now),
        }),
  };
}

function outcomeOf({ read, refused }: Counters): Pick<PollReport, 'accepted' | 'rejected'> {
  return { accepted: read - refused, rejected: refused };
}
