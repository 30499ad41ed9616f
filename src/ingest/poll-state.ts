import { type Clock, MICROS_PER_MS, MICROS_PER_SECOND, type Micros } from '../model/clock.ts';
import type { PollReport } from '../model/control.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import type { Rejection } from '../model/observation.ts';
import type { HeldBack } from '../model/state.ts';
import { formatMillis } from '../model/timestamp.ts';
import type { Writer } from '../store/store.ts';
import { lastChange } from './last-change.ts';

/** Writes how a poll ended to the feed's state, which the schedule, `status` and freshness go by. */
export interface OutcomeParts {
  clock: Clock;
  writer: Writer;
  signal: AbortSignal;
}

const FIRST_RETRY = 30 * MICROS_PER_SECOND;

/** Is written before the first request, so that a process that dies in every poll does not poll as often as it starts. */
export async function keepAttempt(feed: FeedDefinition, startedAt: Micros, { writer }: OutcomeParts): Promise<void> {
  const nextPollAt = startedAt + Math.min(feed.every * MICROS_PER_MS, FIRST_RETRY);
  await writer.transaction((tx) => tx.saveFeedState(feed.name, { attemptedAt: startedAt, nextPollAt }));
}

/** A 304 or an equal body confirms every row of a snapshot at once, without touching one. */
export async function keepConfirmed(
  feed: FeedDefinition,
  startedAt: Micros,
  freshUntil: Micros | null,
  { writer, clock }: OutcomeParts,
): Promise<void> {
  const now = clock.now();
  await writer.transaction(async (tx) => {
    const before = await tx.feedState(feed.name);
    const changedAt = lastChange(before, { hasChanges: false, answer: before }, now);
    await tx.saveFeedState(feed.name, { ...succeeded(feed, startedAt, freshUntil, now), changedAt });
  });
}

/** The state of a feed after a whole pull, beside its counters. `asked`: until when its upstream says that it stays as it is. */
export function succeeded(feed: FeedDefinition, startedAt: Micros, asked: Micros | null, now: Micros) {
  const freshUntil = boundedWait(feed, startedAt, asked);
  return {
    ...(feed.mode === 'snapshot' ? { confirmedAt: now } : {}),
    succeededAt: now,
    attemptedAt: startedAt,
    freshUntil,
    nextPollAt: dueAt(feed, startedAt, freshUntil),
    failures: 0,
    error: null,
  };
}

/**
 * What an upstream says on how long an answer stays as it is lengthens the wait for the next poll, as far as the configuration lets it, and
 * never beyond half of a lifetime: rows must not age because nobody looked. Null: it lengthens nothing.
 */
function boundedWait(
  { maxCache = 0, lifetime }: FeedDefinition,
  startedAt: Micros,
  asked: Micros | null,
): Micros | null {
  const longest = Math.min(maxCache, ...Object.values(lifetime).map((each) => each / 2));
  return asked === null ? null : Math.min(asked, startedAt + Math.floor(longest * MICROS_PER_MS));
}

/** The pace is the shortest wait. */
function dueAt({ every }: Pick<FeedDefinition, 'every'>, startedAt: Micros, freshUntil: Micros | null): Micros {
  return Math.max(startedAt + every * MICROS_PER_MS, freshUntil ?? 0);
}

/** A pace that was changed in the configuration counts from the last poll, not from the next. */
export async function keepPace(feed: FeedDefinition, { writer }: Pick<OutcomeParts, 'writer'>): Promise<void> {
  await writer.transaction(async (tx) => {
    const { attemptedAt, succeededAt, freshUntil: asked, nextPollAt, error } = await tx.feedState(feed.name);
    // After a failure, or a poll that was cut off, there is a reason for the time that stands.
    if (attemptedAt === null || succeededAt === null || succeededAt < attemptedAt || error !== null) return;
    const freshUntil = boundedWait(feed, attemptedAt, asked);
    const due = dueAt(feed, attemptedAt, freshUntil);
    if (due !== nextPollAt) await tx.saveFeedState(feed.name, { nextPollAt: due, freshUntil });
  });
}

/**
 * Writes a failure and when to try again: twice as long after each, up to the feed's interval, and never sooner than the error asks
 * for. `heldBack`: of a pull that is not believed. Returns the error as the report has it.
 */
export async function keepFailure(
  feed: FeedDefinition,
  thrown: unknown,
  startedAt: Micros,
  { writer, clock, signal }: OutcomeParts,
  heldBack: HeldBack | null = null,
): Promise<NonNullable<PollReport['error']>> {
  const error =
    thrown instanceof GatewayError
      ? thrown
      : new GatewayError('internal', `Feed ${feed.name} failed in an unforeseen way.`, { cause: thrown });
  const { code, message, excerpt } = error;
  const reported = {
    code,
    message,
    ...(excerpt === undefined ? {} : { excerpt }),
    ...(heldBack === null ? {} : { heldBack }),
  };
  // Nobody failed: Sluice is stopping, and what keepAttempt wrote says when to go on.
  if (signal.aborted) return reported;
  const now = clock.now();
  const kept = writer.transaction(async (tx) => {
    const { failures } = await tx.feedState(feed.name);
    const longest = Math.min(feed.every * MICROS_PER_MS, FIRST_RETRY * 2 ** Math.min(failures, 16));
    // Jitter: feeds that failed together must not come back together.
    const backoff = Math.ceil(longest * (0.75 + Math.random() / 4));
    const wait = Math.max(backoff, (error.retryAfter ?? 0) * MICROS_PER_SECOND);
    await tx.saveFeedState(feed.name, {
      attemptedAt: startedAt,
      nextPollAt: now + wait,
      failures: failures + 1,
      error: { ...reported, at: now },
    });
  });
  return kept.then(
    () => reported,
    (cause: unknown) => {
      // The store could not keep the failure: that is the error to report.
      if (!(cause instanceof GatewayError)) throw cause;
      return { code: cause.code, message: cause.message };
    },
  );
}

/** A stretch of time whose rows can't be fetched any more, as a note that `rejections` lists. */
export function describeGap({ from, to }: { from: Micros; to: Micros }): Rejection {
  const detail =
    'the feed was not read for longer than its upstream looks back; what was updated in this time is missing';
  return { reason: 'not-served', detail, row: `${formatMillis(from)} to ${formatMillis(to)}`, isNote: true };
}
