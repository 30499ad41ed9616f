import { BATCH_ROWS, type ConfiguredFeed } from '../feeds/feed.ts';
import type { Clock, Micros } from '../model/clock.ts';
import type { PollReport } from '../model/control.ts';
import type { FeedDefinition } from '../model/definition.ts';
import { GatewayError } from '../model/error.ts';
import type { ObservableKey } from '../model/observable.ts';
import type { Rejection } from '../model/observation.ts';
import type { Secret } from '../model/secret.ts';
import type { Journals } from '../publish/journals.ts';
import type { Curated } from '../publish/publish.ts';
import type { Pull, Transaction, Writer } from '../store/store.ts';
import { redact, withoutKey } from '../upstream/redact.ts';
import type { Upstream } from '../upstream/upstream.ts';
import { type BatchPart, readParts } from './batch-rows.ts';
import { closeTally, keepTally, NO_ROWS, sumOf, type Tally } from './counters.ts';
import { hearMarked, isMarking, noteMarkings, settleMarkings } from './markings.ts';
import { observe } from './observe.ts';
import { describeGap, isHeldBack, keepAttempt, keepConfirmed, keepFailure, succeeded } from './poll-state.ts';
import { endObjects, settleObjects } from './versions.ts';

export interface PollParts {
  clock: Clock;
  writer: Writer;
  journals: Journals;
  openUpstream(feed: ConfiguredFeed): Promise<Upstream>;
  /** Told what nobody foresaw: people hear of it in two words. */
  report(error: unknown): void;
  signal: AbortSignal;
}

const NO_NEWS = new Map<ObservableKey, null>();
/** Vanished rows taken out per store call. */
const VANISHED_SLICE = BATCH_ROWS;
/** A guard that holds back a collapse means nothing for a handful of rows. */
const GUARD_FROM_ROWS = 20;

/**
 * One poll: reads the feed, keeps what it says, and brings every journal that hears it up to date, a transaction per batch.
 * Never throws: a failure is in the report and in the feed's state, and what was served stays served.
 */
export async function poll(feed: ConfiguredFeed, parts: PollParts): Promise<PollReport> {
  const { name } = feed.definition;
  const { clock, writer, journals, signal } = parts;
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
  let key: Secret | null = null;
  try {
    key = feed.format.account(feed.options)?.key ?? null;
    upstream = await parts.openUpstream(feed);
    await keepAttempt(feed.definition, startedAt, parts);
    const { fetch, files } = upstream;
    const pull = await writer.beginPull(name);
    const { cursor } = await writer.feedState(name);
    const read = feed.format.read({ options: feed.options, cursor, now: () => clock.now(), fetch, files, signal });
    let isWhole = false;
    let note: string | null = null;
    let tally = NO_ROWS;
    for await (const batch of read) {
      isWhole = batch.last;
      note ??= batch.note ?? null;
      for (const part of readParts(batch, feed.definition, clock.now())) {
        tally = await commitPart(feed, part, { pull, upstream, key, startedAt, cursor, note, tally }, parts, report);
      }
      upstream.committed();
    }
    if (isWhole) report.outcome = 'whole';
    else if (upstream.isUnchanged()) {
      await keepConfirmed(feed.definition, startedAt, parts);
      report.outcome = 'unchanged';
    } else throw new GatewayError('upstream-malformed', `Feed ${name} ended without saying that it was whole.`);
    await journals.review(feed.definition, signal, report);
  } catch (error) {
    if (!(error instanceof GatewayError) && !signal.aborted) parts.report(error);
    report.error = await keepFailure(feed.definition, withoutKey(error, key), startedAt, parts);
    report.outcome = isHeldBack(error) ? 'held-back' : 'failed';
  } finally {
    upstream?.committed();
  }
  report.requests = upstream?.requests() ?? 0;
  return report;
}

interface RunningPoll {
  pull: Pull;
  upstream: Upstream;
  /** What nothing that is told may hold. */
  key: Secret | null;
  startedAt: Micros;
  /** Where the pull began. */
  cursor: string | null;
  /** The first that a batch of this pull had. */
  note: string | null;
  /** What became of the rows of its batches so far. */
  tally: Tally;
}

/** Answers what became of the pull's rows so far. */
async function commitPart(
  feed: ConfiguredFeed,
  { rows, batch }: BatchPart,
  running: RunningPoll,
  { writer, journals, clock }: PollParts,
  report: PollReport,
): Promise<Tally> {
  const { pull, upstream, key, startedAt, cursor, note } = running;
  const now = clock.now();
  const gap = batch.gap ?? null;
  const { definition } = feed;
  return writer
    .transaction(async (tx) => {
      const counts = { entries: 0, withdrawn: 0 };
      const before = await tx.feedState(definition.name);
      const said = await settleObjects(tx, definition, rows.objects, now);
      const noted = gap === null ? [] : [describeGap(gap)];
      // Before anything is judged: what it bears may be explained by what comes behind it.
      const objects = await tx.observeObjects(pull, said);
      noteMarkings(pull, rows.observations, said);
      for await (const news of observe(tx, definition, pull, rows.observations, rows.silent, batch.last, now)) {
        await journals.hear(tx, definition, news, [], now, counts);
      }
      const ended = await endObjects(tx, definition, rows.observations, now);
      const ids = [...objects.map(({ id }) => id), ...ended];
      await journals.hear(tx, definition, NO_NEWS, ids, now, counts);
      await hearMarked(tx, definition, ids.filter(isMarking), journals, now, counts);
      const unexplained = batch.last ? await settleMarkings(tx, pull) : [];
      const rejections = [...noted, ...batch.rejected, ...rows.rejections, ...unexplained];
      const { added, first } = await tx.reject(pull, redacted(rejections, key), now);
      if (batch.cursor !== null) await tx.saveFeedState(definition.name, { cursor: batch.cursor });
      if (gap !== null) await tx.saveFeedState(definition.name, { gap: { ...gap, at: now } });
      if (note !== null || batch.last) {
        await tx.saveFeedState(definition.name, { note: note === null ? null : { text: redact(note, key), at: now } });
      }
      const ofBatch = { ...tallyOf({ rows, batch }), first };
      const tally = sumOf(running.tally, ofBatch);
      await keepTally(tx, definition, { before, batch: ofBatch, added });
      if (batch.last) {
        const { accepted, rejected } = outcomeOf(tally);
        if (definition.mode === 'snapshot') {
          await withdrawVanished(tx, definition, pull, accepted, now, journals, counts);
          await closeTally(tx, definition.name, pull, tally);
        }
        await tx.saveFeedState(definition.name, {
          ...upstream.validators(),
          ...succeeded(definition, startedAt, now),
          ...(batch.cursor === null || batch.cursor === cursor ? {} : { movedAt: startedAt }),
          accepted,
          rejected,
        });
      }
      return { counts, tally };
    })
    .then(({ counts, tally }) => {
      report.entries += counts.entries;
      report.withdrawn += counts.withdrawn;
      Object.assign(report, outcomeOf(tally));
      return tally;
    });
}

function outcomeOf({ read, refused }: Tally): Pick<PollReport, 'accepted' | 'rejected'> {
  return { accepted: read - refused, rejected: refused };
}

function tallyOf({ rows, batch }: BatchPart): Omit<Tally, 'first'> {
  const unread = batch.rejected.filter(({ isNote }) => isNote !== true).length;
  const made = rows.observations.length + rows.objects.length;
  return {
    read: rows.accepted + rows.refused + unread,
    // Fewer than one each would be a loss: that must not add up.
    split: Math.max(0, made - rows.accepted),
    taken: made,
    refused: unread + rows.refused,
  };
}

function redacted(rejections: readonly Rejection[], key: Secret | null): Rejection[] {
  return rejections.map((one) => ({ ...one, detail: redact(one.detail, key), row: redact(one.row, key) }));
}

/** What a whole snapshot no longer holds leaves every journal; a collapse that can't be meant is held back. */
async function withdrawVanished(
  tx: Transaction,
  feed: FeedDefinition,
  pull: Pull,
  accepted: number,
  now: Micros,
  journals: Journals,
  counts: Curated,
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
  // The networks among it have to be known by more than their keys.
  if (journals.expands(feed.name)) await withdrawKnown(tx, feed, pull, now, journals, counts);
  for (;;) {
    const keys = await tx.removeUnseen(pull, VANISHED_SLICE);
    if (keys.length === 0) break;
    await journals.hear(tx, feed, new Map(keys.map((key) => [key, null])), [], now, counts);
  }
  for (;;) {
    const ids = await tx.removeUnseenObjects(pull, VANISHED_SLICE);
    if (ids.length === 0) break;
    await journals.hear(tx, feed, NO_NEWS, ids, now, counts);
    await hearMarked(tx, feed, ids.filter(isMarking), journals, now, counts);
  }
}

/** The same for the observations of a feed, which are read before they go. */
async function withdrawKnown(
  tx: Transaction,
  feed: FeedDefinition,
  pull: Pull,
  now: Micros,
  journals: Journals,
  counts: Curated,
): Promise<void> {
  let after: ObservableKey | null = null;
  do {
    const keys: ObservableKey[] = await tx.observedKeys([feed.name], after, VANISHED_SLICE);
    const seen = await tx.seenKeys(pull, keys);
    const unseen = keys.filter((key) => !seen.has(key));
    const gone = await tx.observations([feed.name], unseen);
    // In the order of the keys as well.
    if (gone.length > 0) await tx.removeUnseen(pull, gone.length);
    await journals.hearGone(tx, feed, gone, now, counts);
    after = keys.at(-1) ?? null;
  } while (after !== null);
}
