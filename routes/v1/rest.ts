import type { FastifyInstance } from 'fastify';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import { encodeAnswers, refuseCodings } from '../coding.ts';
import type { RouteContext } from '../parts.ts';

/** Room for a thousand values of 500 bytes; the densest JSON of this length is parsed in 40 ms. */
const MAX_BODY = 512 * 1024;

/** What all of `/api/v1` has in common: JSON bodies, content codings, and the client's rate in SOC Defenders' header fields. */
export function prepareRest(scope: FastifyInstance, context: RouteContext): void {
  readJsonBodies(scope, context);
  encodeAnswers(scope);
  // These answers are not cached; each is made in pieces that take turns.
  scope.addHook('preHandler', async ({ client }) => context.inFlight.admitInTurn(client.name));
  tellRate(scope, context);
}

/** Adds the client's rate in SOC Defenders' header fields: `X-RateLimit-Reset` is the end of the window in Unix seconds. */
export function tellRate(scope: FastifyInstance, { clock }: RouteContext): void {
  scope.addHook('onSend', async (_request, reply, payload) => {
    const [limit, remaining, reset] = ['limit', 'remaining', 'reset'].map((name) =>
      reply.getHeader(`ratelimit-${name}`),
    );
    if (limit !== undefined && remaining !== undefined && reset !== undefined) {
      reply.header('x-ratelimit-limit', limit).header('x-ratelimit-remaining', remaining);
      reply.header('x-ratelimit-reset', Math.ceil(clock.now() / MICROS_PER_SECOND) + Number(reset));
    }
    return payload;
  });
}

/** Reads bodies of a scope as JSON, within the bounds on what is in memory. Anything else is refused. */
export function readJsonBodies(scope: FastifyInstance, { inFlight }: RouteContext): void {
  scope.addHook('preParsing', async (request, reply) => {
    if (request.method === 'POST') refuseCodings(request, reply);
  });
  // The body is in memory while it arrives, which may be slow.
  scope.addHook('preParsing', async ({ method, headers, client }, reply) => {
    if (method !== 'POST') return;
    inFlight.admit(client.name);
    inFlight.reserve(reply.raw, client.name, Math.min(Number(headers['content-length'] ?? MAX_BODY), MAX_BODY));
  });
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: MAX_BODY },
    async (_: unknown, body: Buffer) => {
      try {
        return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
      } catch (cause) {
        throw new GatewayError('bad-request', 'The body is no JSON in UTF-8.', { cause });
      }
    },
  );
  scope.addContentTypeParser('*', async () => {
    throw new GatewayError('unsupported-media-type', 'Send Content-Type: application/json.');
  });
}
