import Type from 'typebox';
import { analystVerdictKinds } from '../../src/model/analyst-verdict.ts';
import { leftOutReasons } from '../../src/model/served.ts';
import { CHANGED_AT, heldBackSchema, nullable, stalledSchema, termsSchemas, timestamp } from '../v1/schemas.ts';

/** Reports of the control routes. All of them are open: later versions may say more. */

const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description === undefined ? {} : { description }) });
const maybeTime = (description: string) => nullable(timestamp(description));
const errorSchema = nullable(Type.Object({ code: Type.String(), message: Type.String() }));
const feedErrorSchema = nullable(
  Type.Object({ code: Type.String(), message: Type.String(), held_back: nullable(heldBackSchema) }),
);
const leftOutReason = Type.Unsafe<string>({ type: 'string', enum: [...leftOutReasons] });

const servedSchema = Type.Array(
  Type.Object({
    collection: Type.String(),
    live: count('Rows that the collection serves.'),
    left_out: Type.Array(Type.Object({ reason: leftOutReason, kind: Type.String(), rows: count() })),
    unaccounted: Type.Integer({ description: '0, except while a changed configuration is being applied.' }),
  }),
);

export const statusSchema = Type.Object(
  {
    version: Type.String(),
    started_at: timestamp('When the server started.'),
    now: timestamp('When this was read.'),
    store: Type.Object({ fault: nullable(Type.String({ description: '`store-full` or `store-damaged`.' })) }),
    feeds: Type.Array(
      Type.Object({
        name: Type.String(),
        state: Type.String({ description: '`ok`, `failing`, `held-back`, `never-polled`, `disabled` or `no-key`.' }),
        stale: Type.Boolean({ description: 'No whole pull for twice its interval.' }),
        stalled: stalledSchema,
        changed_at: maybeTime(CHANGED_AT),
        attempted_at: maybeTime('The last poll, however it ended.'),
        succeeded_at: maybeTime('The last poll that ended whole.'),
        next_poll_at: maybeTime('When the next poll is due.'),
        fresh_until: maybeTime('Until when its upstream says that the last pull stays as it is, within max_cache.'),
        failures: count('Polls that failed since the last good one.'),
        error: feedErrorSchema,
        ...termsSchemas,
        unaccounted: Type.Integer({ description: '0: every row that was read is accounted for.' }),
        served: servedSchema,
      }),
    ),
    accounts: Type.Array(Type.Object({ name: Type.String(), requests: count('Requests ever sent.') })),
    sinks: Type.Array(
      Type.Object({
        name: Type.String(),
        kind: Type.String(),
        state: Type.String({ description: '`ok`, `failing`, `disabled` or `no-key`.' }),
        failed: count('Entries that its target refused for good.'),
        error: errorSchema,
      }),
    ),
    collections: Type.Array(
      Type.Object({ alias: Type.String(), id: Type.String(), newest: maybeTime('Newest entry.') }),
    ),
  },
  { title: 'ControlStatus' },
);

export const pollSchema = Type.Object(
  {
    feed: Type.String(),
    outcome: Type.Unsafe<string>({ type: 'string', enum: ['whole', 'unchanged', 'failed', 'held-back'] }),
    requests: count('Upstream requests sent.'),
    accepted: count('Rows taken.'),
    rejected: count('Rows refused.'),
    entries: count('Journal entries appended, over all journals.'),
    withdrawn: count('Withdrawals among them.'),
    error: feedErrorSchema,
  },
  { title: 'PollReport' },
);

export const rejectionsSchema = Type.Object(
  {
    feed: Type.String(),
    counts: Type.Array(Type.Object({ reason: Type.String(), count: count(), is_note: Type.Boolean() })),
    rows: Type.Array(
      Type.Object({
        reason: Type.String(),
        detail: Type.String(),
        row: Type.String({ description: 'The row as it came, cut where it is long.' }),
        first_at: timestamp('When it was first refused.'),
        last_at: timestamp('When it was last refused.'),
      }),
    ),
    served: servedSchema,
    left_out: Type.Array(
      Type.Object({
        kind: Type.String(),
        value: Type.String(),
        reason: leftOutReason,
        collections: Type.Array(Type.String(), { description: 'Collections that leave it out.' }),
      }),
    ),
  },
  { title: 'Rejections' },
);

export const deadLetterSchema = Type.Object(
  {
    collection: Type.String(),
    object_id: Type.String(),
    date_added: timestamp('Of the entry.'),
    reason: Type.String({ description: 'As the target gave it.' }),
    attempts: count(),
    at: timestamp('Of the last attempt.'),
  },
  { title: 'FailedEntry' },
);

export const deliverySchema = Type.Object(
  {
    written: count(),
    unchanged: count('The target had them already.'),
    refused: count('Refused for good and kept.'),
    swept: count('Removed from the target, because no live entry stands for them.'),
  },
  { title: 'DeliveryReport' },
);

const verdictsSchema = Type.Array(
  Type.Object({
    id: Type.Integer({ minimum: 1 }),
    verdict: Type.Unsafe<string>({ type: 'string', enum: [...analystVerdictKinds] }),
    pool: Type.String(),
    type: Type.String(),
    value: Type.String(),
    by: Type.String({ description: 'Who gave it: the operator, or the user of the command.' }),
    note: nullable(Type.String()),
    at: timestamp('When it was given.'),
    seen_at: maybeTime('Of `sighted`: when the value was seen.'),
    until: maybeTime('When it ends; null: by hand.'),
    ended_at: maybeTime('When it ended; null: it stands.'),
    ended_by: nullable(Type.String({ description: 'Who ended it; null: its date came.' })),
  }),
);

export const verdictReportSchema = Type.Object(
  {
    verdicts: verdictsSchema,
    entries: count('Journal entries appended, over all journals.'),
    withdrawn: count('Withdrawals among them.'),
    feeds: Type.Array(Type.String(), { description: 'Feeds that say the value now.' }),
  },
  { title: 'VerdictReport' },
);

export const verdictListSchema = Type.Object(
  { verdicts: verdictsSchema, next: nullable(Type.Integer({ description: 'The `before` of the next page.' })) },
  { title: 'Verdicts' },
);

export const runningSchema = Type.Object(
  { outcome: Type.Unsafe<string>({ type: 'string', enum: ['running'] }) },
  { title: 'Running' },
);
