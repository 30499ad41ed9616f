import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { mayRead } from '../../src/auth/clients.ts';
import type { Micros } from '../../src/model/clock.ts';
import type { ServedReport } from '../../src/model/control.ts';
import { byReason, type LeftOutReason, leftOutReasons } from '../../src/model/served.ts';
import type { AccountState, FeedState } from '../../src/model/state.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { type FeedFacts, type FeedReport, readFeeds, termsOf } from '../../src/status/feeds.ts';
import type { Operation } from '../methods.ts';
import type { RouteContext } from '../parts.ts';
import {
  CHANGED_AT,
  heldBackSchema,
  nullable,
  restOperation,
  stalledSchema,
  termsSchemas,
  timestamp,
} from './schemas.ts';

const count = (description: string) => Type.Integer({ minimum: 0, description });
const maybeTime = (description: string) => nullable(timestamp(description));

/**
 * Whatever they may read, readers learn nothing of rows whose marking is above the ceiling, or was not looked at; nor how many
 * relations point at such rows.
 */
const hidden: ReadonlySet<LeftOutReason> = new Set(['above-ceiling', 'objects-not-taken', 'end-not-served']);
const shownReasons = leftOutReasons.filter((reason) => !hidden.has(reason));

const feedSchema = Type.Object({
  name: Type.String(),
  title: Type.String(),
  format: Type.String(),
  status: Type.Unsafe<string>({
    type: 'string',
    enum: ['fresh', 'stale', 'stalled', 'waiting', 'disabled', 'no-key'],
    description:
      'stale: no whole pull for twice its interval; its last data are still served. stalled: it is read, and its list no longer changes. waiting: none yet.',
  }),
  every_seconds: Type.Number(),
  attempted_at: maybeTime('The last poll, however it ended.'),
  succeeded_at: maybeTime('What is served is as fresh as this.'),
  changed_at: maybeTime(CHANGED_AT),
  stalled: stalledSchema,
  next_poll_at: maybeTime('When the next poll is due.'),
  failures: count('Polls that failed since the last good one.'),
  error: nullable(
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      at: timestamp('When.'),
      held_back: nullable(heldBackSchema),
    }),
  ),
  gap: nullable(
    Type.Object(
      { from: timestamp('From.'), to: timestamp('To.'), found_at: timestamp('When the upstream answered again.') },
      { description: 'The last absence longer than the upstream looks back: what was updated in it is missing here.' },
    ),
  ),
  note: nullable(
    Type.Object(
      { text: Type.String(), found_at: timestamp('When it was found.') },
      { description: 'What is not as it should be about a feed that is read all the same.' },
    ),
  ),
  ...termsSchemas,
  counts: Type.Array(
    Type.Object({
      collection: Type.String(),
      live: count('Indicators and objects that it serves of this feed.'),
      left_out: nullable(
        Type.Partial(
          Type.Object(
            Object.fromEntries(shownReasons.map((reason) => [reason, count('Held, and not served for this reason.')])),
          ),
        ),
      ),
    }),
    {
      description:
        'Per collection that the caller may read. What it leaves out may stand in other collections of the feed: null, unless the caller may read all of those. Rows above the ceiling are in no count.',
    },
  ),
  budget: nullable(
    Type.Object({
      origin: Type.String({ description: 'Whose allowance it is; feeds with the same key share one.' }),
      next_request_at: maybeTime('Nothing is sent before; null: at once.'),
      blocked_until: maybeTime('Because the upstream said so.'),
      windows: Type.Array(
        Type.Object({ seconds: Type.Integer(), requests: Type.Number(), left: Type.Number({ minimum: 0 }) }),
      ),
    }),
  ),
  reads: count('Times its collections were read here since the start.'),
  upstream_requests: nullable(
    count(
      'Sent on its account since the start; null, as is the budget, where feeds draw on it that the caller may not read.',
    ),
  ),
  calls_saved: nullable(
    count(
      'Reads that no upstream request was spent on; null where no upstream is asked, or `upstream_requests` is null.',
    ),
  ),
  collections: Type.Array(Type.String(), { minItems: 1 }),
});
const feedsSchema = Type.Object(
  { meta: Type.Object({ generated_at: timestamp('When it was read.') }), data: Type.Array(feedSchema) },
  { title: 'Feeds' },
);

/** `/api/v1/feeds`: how fresh the feeds are behind the collections that the caller may read. */
export function getFeeds(
  { reader, feeds, collections, clock, reads }: RouteContext,
  scope: FastifyInstance,
): Operation {
  let sentBefore = new Map<string, number>();
  scope.addHook('onReady', async () => {
    sentBefore = new Map((await reader.accounts()).map(({ account, requests }) => [account, requests]));
  });
  return restOperation(
    {
      operationId: 'getFeeds',
      summary: 'How fresh the feeds are',
      reply: { description: 'Feeds by name.', content: { 'application/json': feedsSchema } },
    },
    async ({ client }) => {
      const now = clock.now();
      const readable = new Set(collections.filter((each) => mayRead(client, each)).map(({ alias }) => alias));
      const accounts = new Map((await reader.accounts()).map((account) => [account.account, account]));
      const isReadable = ({ collections }: FeedFacts): boolean => collections.some((alias) => readable.has(alias));
      // What is spent on an account tells of all feeds that draw on it.
      const closed = new Set(feeds.flatMap((facts) => (isReadable(facts) ? [] : (facts.account?.name ?? []))));
      const reports = await readFeeds(reader, { feeds: feeds.filter(isReadable), collections, now });
      const data = reports.toSorted(byName).map((report) => {
        const { account } = report.facts;
        const served = report.served.filter(({ collection }) => readable.has(collection));
        const aliases = served.map(({ collection }) => collection);
        const isAll = served.length === report.served.length;
        const isClosed = account !== null && closed.has(account.name);
        const state = account === null ? undefined : accounts.get(account.name);
        const sent = state === undefined ? 0 : state.requests - (sentBefore.get(state.account) ?? 0);
        const read = reads.of(aliases);
        return {
          ...describe(report),
          counts: served.map((each) => countsOf(each, isAll)),
          budget: isClosed ? null : budgetOf(report.facts, state, now),
          reads: read,
          upstream_requests: isClosed ? null : sent,
          calls_saved: account === null || isClosed ? null : Math.max(0, read - sent),
          collections: aliases,
        };
      });
      return { meta: { generated_at: formatMillis(now) }, data };
    },
  );
}

function byName({ facts: a }: FeedReport, { facts: b }: FeedReport): number {
  return a.definition.name < b.definition.name ? -1 : 1;
}

function describe({ facts: { definition, idle }, state, stale, stalled }: FeedReport) {
  const { name, title, format, every } = definition;
  const { succeededAt, error } = state;
  const read = stale ? 'stale' : stalled === null ? 'fresh' : 'stalled';
  return {
    name,
    title,
    format,
    status: idle ?? (succeededAt === null && error === null ? 'waiting' : read),
    every_seconds: every / 1000,
    attempted_at: timeOf(state.attemptedAt),
    succeeded_at: timeOf(succeededAt),
    changed_at: timeOf(state.changedAt),
    stalled,
    next_poll_at: idle === null ? timeOf(state.nextPollAt) : null,
    failures: state.failures,
    // Without what the file or page that was read instead begins with.
    error: errorOf(error),
    gap: gapOf(state.gap),
    note: noteOf(state.note),
    ...termsOf(definition),
  };
}

/** The counts of a pull that was held back are of all its rows, whatever their marking: they tell nothing of a single one. */
function errorOf(error: FeedState['error']) {
  if (error === null) return null;
  const { code, message, at, heldBack } = error;
  return { code, message, at: formatMillis(at), held_back: heldBack ?? null };
}

/** `isAll`: the caller may read all collections of the feed. */
function countsOf({ collection, live, leftOut }: ServedReport, isAll: boolean) {
  const shown = leftOut.filter(({ reason }) => !hidden.has(reason));
  return { collection, live, left_out: isAll ? byReason(shown) : null };
}

function gapOf(gap: FeedState['gap']) {
  return gap && { from: formatMillis(gap.from), to: formatMillis(gap.to), found_at: formatMillis(gap.at) };
}

function noteOf(note: FeedState['note']) {
  return note && { text: note.text, found_at: formatMillis(note.at) };
}

function budgetOf({ account }: FeedFacts, state: AccountState | undefined, now: Micros) {
  if (account === null) return null;
  const { nextRequestAt, windows } = account.allowanceOf(state, now);
  const blockedUntil = state?.blockedUntil ?? null;
  return {
    origin: account.origin,
    next_request_at: timeOf(nextRequestAt),
    blocked_until: blockedUntil !== null && blockedUntil > now ? formatMillis(blockedUntil) : null,
    windows,
  };
}

function timeOf(micros: Micros | null): string | null {
  return micros === null ? null : formatMillis(micros);
}
