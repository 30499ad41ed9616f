import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../src/model/error.ts';
import { requireOperator } from './control/operators.ts';
import { setDefaultHeaders } from './default-headers.ts';
import { documentOptions } from './document.ts';
import { routeTable } from './index.ts';
import { listGuests } from './lists/guests.ts';
import { addResource, knowAllMethods, type Operations } from './methods.ts';
import type { RouteContext, RouteParts } from './parts.ts';
import { replyWithProblem } from './problem.ts';
import { checkQuery } from './query.ts';
import { createRates } from './rates.ts';
import { refuseWhileUnready, unavailable } from './readiness.ts';
import { countReads } from './reads.ts';
import { paceRefusals } from './refusals.ts';
import type { RouteScope } from './route-scope.ts';
import { protect } from './sign-in.ts';
import { replyWithErrorMessage } from './taxii/error-message.ts';
import { compileValidator } from './validation.ts';

const errorRenderers: Record<
  RouteScope['protocol'],
  (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply
> = { taxii: replyWithErrorMessage, rest: replyWithProblem };

/** Registers the table (index.ts): scopes for clients behind one sign-in, the others beside it. */
export function registerRoutes(app: FastifyInstance, parts: RouteParts): void {
  const rates = createRates(parts.clock);
  const context: RouteContext = { ...parts, rates, reads: countReads(parts.refreshOnRead) };
  const table = routeTable(parts);
  knowAllMethods(app);
  app.setValidatorCompiler(compileValidator);
  // Reply schemas describe, they don't cut: a custom property of a STIX object is served as it came.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.addHook('preValidation', checkQuery);
  app.register(swagger, documentOptions(parts.version));
  // Bodies are read by the routes that want one; the rest refuse the request before its body matters.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => {
    payload.resume();
    done(null);
  });
  // One sign-in around all scopes for clients: a client has one rate, whichever routes it calls.
  app.register(async (guarded) => {
    // Unless a route says better: RFC 9111 keeps a shared cache from an answer for its Authorization field alone, but keys
    // come in other ways as well, and a 404 for one client must never be shown to another.
    setDefaultHeaders(guarded, { 'cache-control': 'private, no-cache', vary: 'Authorization, X-API-Key' });
    paceRefusals(guarded);
    guarded.addHook('onRequest', ({ raw }, _reply, done) => {
      if (parts.isOverLimit(raw.socket)) done(unavailable('Too many connections are open; try again soon.'));
      else done();
    });
    await protect(guarded, parts.clients, rates.store, listGuests(parts.lists.named, parts.collections));
    const scopes = table.filter(({ access }) => access !== 'anyone');
    for (const each of scopes.filter(({ isAlwaysServed }) => isAlwaysServed)) registerScope(guarded, each, context);
    guarded.register(async (hindered) => {
      refuseWhileUnready(hindered, parts);
      for (const each of scopes.filter(({ isAlwaysServed }) => !isAlwaysServed)) registerScope(hindered, each, context);
    });
  });
  for (const each of table.filter(({ access }) => access === 'anyone')) registerScope(app, each, context);
}

function registerScope(parent: FastifyInstance, row: RouteScope, context: RouteContext): void {
  const { prefix, access, protocol, prepare } = row;
  const replyWithError = errorRenderers[protocol];
  parent.register(
    async (scope) => {
      scope.setErrorHandler(replyWithError);
      scope.setNotFoundHandler((request, reply) => replyWithError(nothingHere(), request, reply));
      if (access === 'operators') requireOperator(scope, context);
      await prepare?.(scope, context);
      for (const [path, operations] of operationsByPath(row, context, scope)) addResource(scope, path, operations);
    },
    { prefix },
  );
}

function operationsByPath(
  { routes, idSuffix = '' }: RouteScope,
  context: RouteContext,
  scope: FastifyInstance,
): Map<string, Operations> {
  const byPath = new Map<string, Operations>();
  for (const [route, make] of Object.entries(routes)) {
    if (make === 'prepared') continue;
    const [method = '', path = ''] = route.split(' ');
    const { schema, handler } = make(context, scope);
    const operationId = schema.operationId === undefined ? {} : { operationId: schema.operationId + idSuffix };
    byPath.set(path, { ...byPath.get(path), [method]: { schema: { ...schema, ...operationId }, handler } });
  }
  return byPath;
}

function nothingHere(): GatewayError {
  return new GatewayError('not-found', 'There is nothing here.');
}
