import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { MAX_ROWS, nameSchema } from '../../src/control/verbs.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { explainJson } from '../../src/status/explain.ts';
import { deadLettersJson, pollJson, rejectionsJson, statusJson } from '../../src/status/json.ts';
import type { Operation } from '../methods.ts';
import { numberParameter, readParams } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { readLimit, readQuery } from '../query.ts';
import { explanationSchema } from '../v1/explain.ts';
import { askedParameters } from '../v1/schemas.ts';
import { accepted, controlOperation, json, withinWait } from './operation.ts';
import { deadLetterSchema, deliverySchema, pollSchema, rejectionsSchema, statusSchema } from './schemas.ts';

/**
 * What an operator may do over HTTP: verbs of src/control/verbs.ts, with the same reports as commands give with `--json`. Verbs that make
 * or end keys, and those that set up or rebuild a target, are left to the command line.
 */

const feedParams = Type.Object({ feed: nameSchema });
const sinkParams = Type.Object({ sink: nameSchema });
const STANDARD_LIMIT = 100;
const limitQuery = Type.Object(
  {
    limit: numberParameter({
      minimum: 0,
      maximum: MAX_ROWS,
      default: STANDARD_LIMIT,
      description: 'Rows of each kind.',
    }),
  },
  { additionalProperties: false },
);
const pollQuery = Type.Object(
  {
    accept_shrink: Type.Optional(
      Type.Unsafe<string>({
        type: 'string',
        enum: ['true', 'false'],
        description: 'true: this once, a snapshot is taken whatever its size; what it no longer holds is withdrawn.',
      }),
    ),
  },
  { additionalProperties: false },
);
const explainQuery = Type.Object(askedParameters, { additionalProperties: false });
const noQuery = Type.Object({}, { additionalProperties: false });
export function getControlStatus(context: RouteContext): Operation {
  const text = {
    operationId: 'getControlStatus',
    summary: 'The state of feeds, accounts, sinks and collections',
    description: 'As `sluice status --json`: of all feeds, whatever the operator may read.',
    query: noQuery,
    reply: json('The state of everything.', statusSchema),
  };
  return controlOperation(text, async () => [statusJson(await context.control.status()), 'done']);
}

export function pollFeed(context: RouteContext): Operation {
  const text = {
    operationId: 'pollFeed',
    summary: "Poll a feed now, as far as its account's budget allows",
    description: 'As `sluice poll --json`. A poll that fails is answered by 200, with its `error`.',
    query: pollQuery,
    params: feedParams,
    reply: json('How the poll ended.', pollSchema),
    accepted,
    errors: ['unprocessable'] as const,
  };
  return controlOperation(text, (request, reply) => {
    const { feed } = readParams(request, feedParams);
    const isForced = readQuery(request)['accept_shrink'] === 'true';
    const poll = isForced ? context.control.acceptShrink(feed) : context.control.poll(feed);
    return withinWait(context, request, reply, poll.then(pollJson), ({ outcome }) => outcome);
  });
}

export function explainValue(context: RouteContext): Operation {
  const text = {
    operationId: 'explainValue',
    summary: 'Who says a value, in which collections it is or is not, and why',
    description: 'As `sluice explain --json`: of all feeds and collections, whatever the operator may read.',
    query: explainQuery,
    reply: json('What is known of the value.', explanationSchema),
  };
  return controlOperation(text, async (request) => {
    const { ioc, type = null } = readQuery(request) as { ioc: string; type?: ObservableType };
    return [explainJson(await context.control.explain(ioc, type)), 'done'];
  });
}

export function getRejections(context: RouteContext): Operation {
  const text = {
    operationId: 'getRejections',
    summary: 'Rows of a feed that were refused, or that are held and not served, and why',
    description: 'As `sluice rejections --json`. Rows are shown whatever their TLP.',
    query: limitQuery,
    params: feedParams,
    reply: json('Counts and rows.', rejectionsSchema),
  };
  return controlOperation(text, async (request) => {
    const { feed } = readParams(request, feedParams);
    return [rejectionsJson(feed, await context.control.rejections(feed, limitOf(request))), 'done'];
  });
}

export function getFailedEntries(context: RouteContext): Operation {
  const text = {
    operationId: 'getFailedEntries',
    summary: "Entries that a sink's target refused for good, and why",
    description: 'As `sluice sink failed --json`.',
    query: limitQuery,
    params: sinkParams,
    reply: json('Entries by collection and date.', Type.Array(deadLetterSchema)),
  };
  return controlOperation(text, async (request) => {
    const letters = await context.control.deadLetters(readParams(request, sinkParams).sink, limitOf(request));
    return [deadLettersJson(letters), 'done'];
  });
}

export function retrySink(context: RouteContext): Operation {
  const text = {
    operationId: 'retrySink',
    summary: "Deliver once more what a sink's target refused",
    description: 'As `sluice sink retry --json`.',
    query: noQuery,
    params: sinkParams,
    reply: json('What became of the entries.', deliverySchema),
    accepted,
    errors: ['sink-refused', 'sink-unavailable'] as const,
  };
  return controlOperation(text, (request, reply) =>
    withinWait(context, request, reply, context.control.retrySink(readParams(request, sinkParams).sink), () => 'done'),
  );
}

function limitOf(request: FastifyRequest): number {
  return readLimit(readQuery(request)['limit'], STANDARD_LIMIT, MAX_ROWS);
}
