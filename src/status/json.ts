import type { Micros } from '../model/clock.ts';
import type { PollReport, RejectionReport, ServedReport, StatusReport, TryReport } from '../model/control.ts';
import type { PlanReport } from '../model/plan.ts';
import type { DeadLetter, FeedError } from '../model/state.ts';
import { formatMillis } from '../model/timestamp.ts';

/**
 * Reports as JSON for programs: what commands answer with `--json`, and the control routes over HTTP. Members are in snake case, times
 * in RFC 3339.
 */

export function statusJson({ version, startedAt, now, storeFault, feeds, accounts, sinks, collections }: StatusReport) {
  return {
    version,
    started_at: timeOf(startedAt),
    now: timeOf(now),
    store: { fault: storeFault },
    feeds: feeds.map((feed) => ({
      name: feed.feed,
      state: feed.idle ?? (feed.attemptedAt === null ? 'never-polled' : feed.failures > 0 ? failureOf(feed) : 'ok'),
      stale: feed.stale,
      stalled: feed.stalled,
      changed_at: timeOf(feed.changedAt),
      account: feed.account,
      pools: feed.pools,
      attempted_at: timeOf(feed.attemptedAt),
      succeeded_at: timeOf(feed.succeededAt),
      next_poll_at: timeOf(feed.nextPollAt),
      fresh_until: timeOf(feed.freshUntil),
      failures: feed.failures,
      error: feed.error === null ? null : { ...errorJson(feed.error), at: timeOf(feed.error.at) },
      gap:
        feed.gap === null
          ? null
          : { from: timeOf(feed.gap.from), to: timeOf(feed.gap.to), found_at: timeOf(feed.gap.at) },
      note: feed.note === null ? null : { text: feed.note.text, found_at: timeOf(feed.note.at) },
      attribution: feed.attribution,
      terms: feed.terms,
      redistribution: feed.redistribution,
      accepted: feed.accepted,
      rejected: feed.rejected,
      read: feed.read,
      split: feed.split,
      observations: feed.observations,
      objects: feed.objects,
      folded: feed.folded,
      aged_out: feed.gone,
      filtered: feed.filtered,
      refused: feed.refused.map(({ reason, count }) => ({ reason, count })),
      unaccounted: feed.unaccounted,
      served: servedJson(feed.served),
    })),
    accounts: accounts.map((account) => ({
      name: account.account,
      requests: account.requests,
      last_request_at: timeOf(account.lastRequestAt),
      blocked_until: timeOf(account.blockedUntil),
      failures: account.breaker?.failures ?? 0,
      broken_until: timeOf(account.breaker?.openUntil ?? null),
      windows: Object.entries(account.windows).map(([seconds, { startedAt, used }]) => ({
        seconds: Number(seconds),
        started_at: timeOf(startedAt),
        used,
      })),
    })),
    sinks: sinks.map(({ name, kind, idle, failures, failed, error, collections: views }) => ({
      name,
      kind,
      state: idle ?? (failures > 0 ? 'failing' : 'ok'),
      failures,
      failed,
      error: error === null ? null : { ...error, at: timeOf(error.at) },
      collections: views.map(({ alias, deliveredTo, head, updatedAt }) => ({
        alias,
        delivered_to: timeOf(deliveredTo),
        newest: timeOf(head),
        updated_at: timeOf(updatedAt),
      })),
    })),
    collections: collections.map(({ head, ...collection }) => ({ ...collection, newest: timeOf(head) })),
  };
}

export function rejectionsJson(feed: string, { counts, rows, served, leftOut }: RejectionReport) {
  return {
    feed,
    counts: counts.map(({ isNote, ...count }) => ({ ...count, is_note: isNote })),
    rows: rows.map(({ firstAt, lastAt, isNote, ...row }) => ({
      ...row,
      is_note: isNote,
      first_at: timeOf(firstAt),
      last_at: timeOf(lastAt),
    })),
    served: servedJson(served),
    left_out: leftOut,
  };
}

export function tryJson({ answers, rows, rejections, against, ...report }: TryReport) {
  return {
    ...report,
    answers: answers.map(({ lastModified, ...answer }) => ({ ...answer, last_modified: lastModified })),
    rows: rows.map(({ firstSeen, lastSeen, validFrom, validUntil, ...row }) => ({
      ...row,
      first_seen: timeOf(firstSeen),
      last_seen: timeOf(lastSeen),
      valid_from: timeOf(validFrom),
      valid_until: timeOf(validUntil),
    })),
    rejections: rejections.map(({ isNote, ...one }) => ({ ...one, is_note: isNote })),
    against:
      against === null
        ? null
        : { held: against.held, new: against.fresh, changed: against.changed, gone: against.gone },
  };
}

export function planJson({ newFeeds, droppedFeeds, ...report }: PlanReport) {
  return { ...report, new_feeds: newFeeds, dropped_feeds: droppedFeeds };
}

export function pollJson({ error, ...report }: PollReport) {
  return { ...report, error: error === null ? null : errorJson(error) };
}

/** `held_back`: the rows that a pull that was held back brought, and how many it would have withdrawn. */
function errorJson({ heldBack, ...error }: Omit<FeedError, 'at'>) {
  return { ...error, held_back: heldBack ?? null };
}

function failureOf({ error }: StatusReport['feeds'][number]): string {
  return error?.heldBack === undefined ? 'failing' : 'held-back';
}

/** Entries that a sink's target refused for good. */
export function deadLettersJson(letters: readonly DeadLetter[]) {
  return letters.map(({ scope, dateAdded, objectId, reason, attempts, at }) => ({
    collection: scope.slice(0, scope.indexOf(' ')),
    object_id: objectId,
    date_added: timeOf(dateAdded),
    reason,
    attempts,
    at: timeOf(at),
  }));
}

function servedJson(served: readonly ServedReport[]) {
  return served.map(({ collection, live, leftOut, unaccounted }) => ({
    collection,
    live,
    left_out: leftOut,
    unaccounted,
  }));
}

function timeOf(at: Micros | null): string | null {
  return at === null ? null : formatMillis(at);
}
