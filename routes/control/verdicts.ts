import Type from 'typebox';
import { nameSchema } from '../../src/control/verbs.ts';
import { type AnalystVerdictKind, analystVerdictKinds, MAX_VERDICT_NOTE } from '../../src/model/analyst-verdict.ts';
import type { Micros } from '../../src/model/clock.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { parseTimestamp } from '../../src/model/timestamp.ts';
import { verdictListJson, verdictReportJson } from '../../src/status/verdicts.ts';
import type { Operation } from '../methods.ts';
import { numberParameter, readBody, timeParameter, wordParameter } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { badParameter, readLimit, readQuery } from '../query.ts';
import { askedParameters } from '../v1/schemas.ts';
import { accepted, controlOperation, json, withinWait } from './operation.ts';
import { verdictListSchema, verdictReportSchema } from './schemas.ts';

/** Verdicts of analysts over HTTP. They are given and ended in the name of the operator's client. */

const STANDARD_LIMIT = 100;
const MAX_LIMIT = 1000;
const closed = { additionalProperties: false };
const pool = Type.Optional(nameSchema);
const isYes = (description: string) => wordParameter(['true', 'false'], { description });

const newQuery = Type.Object({}, closed);
const newBody = Type.Object(
  {
    ...askedParameters,
    verdict: Type.Unsafe<AnalystVerdictKind>({
      type: 'string',
      enum: [...analystVerdictKinds],
      'x-expects': `one of ${analystVerdictKinds.join(', ')}`,
    }),
    pool,
    all_pools: Type.Optional(Type.Boolean({ description: 'In every pool.' })),
    note: Type.Optional(Type.String({ maxLength: MAX_VERDICT_NOTE, description: 'For other analysts.' })),
    seen_at: timeParameter({ description: 'Of sighted: when it was seen; now unless given.' }),
    until: timeParameter({ description: 'It ends then; by hand unless given.' }),
  },
  closed,
);
const listQuery = Type.Object(
  {
    ioc: Type.Optional(askedParameters.ioc),
    type: askedParameters.type,
    pool,
    ended: isYes('true: those that ended as well.'),
    before: numberParameter({ minimum: 1, description: 'Only those with a lower id: `next` of the page before.' }),
    limit: numberParameter({
      minimum: 1,
      maximum: MAX_LIMIT,
      default: STANDARD_LIMIT,
      description: 'Verdicts of a page.',
    }),
  },
  closed,
);
const endQuery = Type.Object(
  {
    ...askedParameters,
    pool,
    all_pools: isYes('true: in every pool.'),
    verdict: wordParameter(analystVerdictKinds, { description: 'Only this one; unless given, all on the value.' }),
  },
  closed,
);

export function giveVerdict(context: RouteContext): Operation {
  const text = {
    operationId: 'giveVerdict',
    summary: 'Say that a value is a false positive, confirmed, or was sighted',
    description: 'As `sluice verdict KIND --json`. Readers are told when it is answered.',
    query: newQuery,
    body: newBody,
    reply: json('What stands now, and what readers were told.', verdictReportSchema),
    accepted,
    errors: ['not-found', 'unprocessable'] as const,
  };
  return controlOperation(text, (request, reply) => {
    const { verdict: kind, all_pools: allPools = false, seen_at, until, ...said } = readBody(request, newBody);
    const times = { ...timeOf('seenAt', 'seen_at', seen_at), ...timeOf('until', 'until', until) };
    const given = context.control.giveVerdict({ ...said, kind, by: request.client.name, allPools, ...times });
    return withinWait(context, request, reply, given.then(verdictReportJson), () => 'done');
  });
}

export function listVerdicts(context: RouteContext): Operation {
  const text = {
    operationId: 'listVerdicts',
    summary: 'Verdicts of analysts, the newest first',
    description:
      'As `sluice verdict list --json`. `next` is the `before` of the page behind this one; null: there is none.',
    query: listQuery,
    reply: json('A page of verdicts.', verdictListSchema),
    errors: ['unprocessable'] as const,
  };
  return controlOperation(text, async (request) => {
    const { ended, before, limit, ...value } = readQuery(request) as ListAsked;
    const list = await context.control.listVerdicts({
      ...value,
      withEnded: ended === 'true',
      ...(before === undefined ? {} : { before: readLimit(before, 1, Number.MAX_SAFE_INTEGER) }),
      limit: readLimit(limit, STANDARD_LIMIT, MAX_LIMIT),
    });
    return [verdictListJson(list), 'done'];
  });
}

export function endVerdicts(context: RouteContext): Operation {
  const text = {
    operationId: 'endVerdicts',
    summary: 'End the verdicts on a value',
    description: 'As `sluice verdict end --json`. Readers are told when it is answered.',
    query: endQuery,
    reply: json('What ended, and what readers were told.', verdictReportSchema),
    accepted,
    errors: ['not-found', 'unprocessable'] as const,
  };
  return controlOperation(text, (request, reply) => {
    const { verdict, all_pools, ...value } = readQuery(request) as EndAsked;
    const kind = verdict === undefined ? {} : { kind: verdict };
    const ended = context.control.endVerdicts({
      ...value,
      ...kind,
      by: request.client.name,
      allPools: all_pools === 'true',
    });
    return withinWait(context, request, reply, ended.then(verdictReportJson), () => 'done');
  });
}

/** Queries, as their schemas have checked them. */
type Asked = { type?: ObservableType; pool?: string };
type ListAsked = Asked & { ioc?: string; ended?: string; before?: string; limit?: string };
type EndAsked = Asked & { ioc: string; verdict?: AnalystVerdictKind; all_pools?: string };

/** The time as a member of this name; without text there is none. */
function timeOf<Name extends string>(name: Name, parameter: string, text: string | undefined) {
  if (text === undefined) return {};
  const at = parseTimestamp(text);
  if (at === undefined) throw badParameter(parameter, 'a time such as 2026-05-04T08:00:00Z');
  return { [name]: at } as Record<Name, Micros>;
}
