import type { Socket } from 'node:net';
import swagger from '@fastify/swagger';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../src/model/error.ts';
import { addDocs } from './docs.ts';
import { documentOptions } from './document.ts';
import { addHealth } from './health.ts';
import { knowAllMethods } from './methods.ts';
import { addMetrics } from './metrics.ts';
import type { RouteContext, RouteParts } from './parts.ts';
import { replyWithProblem } from './problem.ts';
import { checkQuery } from './query.ts';
import { createRates } from './rates.ts';
import { refuseWhenHindered, unavailable } from './readiness.ts';
import { countReads } from './reads.ts';
import { paceRefusals } from './refusals.ts';
import { protect } from './sign-in.ts';
import { sendAlways } from './standing-headers.ts';
import { addApiRoot } from './taxii/api-root.ts';
import { addDiscovery } from './taxii/discovery.ts';
import { replyWithErrorMessage } from './taxii/error-message.ts';
import { addRest } from './v1/rest.ts';
import { compileValidator } from './validation.ts';

type Renderer = (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply;
interface Row {
  prefix: string;
  add(scope: FastifyInstance, context: RouteContext): void | Promise<void>;
  errors: Renderer;
  access: 'clients' | 'anyone';
  /** Answered whatever hinders the others: a bad night is what figures are for. */
  always?: boolean;
}

/** Every door there is: prefix -> plugin -> how it words its errors -> who may call. */
function tableOf({ taxii, metrics }: RouteParts): Row[] {
  const discovery = (operationId: string) =>
    ({
      add: (scope: FastifyInstance, context: RouteContext) => addDiscovery(scope, context, operationId),
      errors: replyWithErrorMessage,
      access: 'clients',
    }) as const;
  return [
    { prefix: '/taxii2', ...discovery('getDiscovery') },
    { prefix: '/api/taxii2', ...discovery('getDiscoveryUnderApi') },
    ...taxii.apiRoots.map((root) => ({
      prefix: root.path.slice(0, -1),
      add: (scope: FastifyInstance, context: RouteContext) => addApiRoot(scope, context, root),
      errors: replyWithErrorMessage,
      access: 'clients' as const,
    })),
    { prefix: '/api/v1', add: addRest, errors: replyWithProblem, access: 'clients' },
    { prefix: '/docs', add: addDocs, errors: replyWithProblem, access: 'clients' },
    {
      prefix: '/metrics',
      add: addMetrics,
      errors: replyWithProblem,
      access: metrics.access === 'anyone' ? 'anyone' : 'clients',
      always: true,
    },
    { prefix: '', add: addHealth, errors: replyWithProblem, access: 'anyone' },
  ];
}

export function registerRoutes(app: FastifyInstance, parts: RouteParts): void {
  const rates = createRates(parts.clock);
  const context: RouteContext = { ...parts, rates, reads: countReads(parts.touch) };
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
  const table = tableOf(parts);
  const open = (parent: FastifyInstance, { prefix, add, errors }: Row): void => {
    parent.register(
      async (scope) => {
        scope.setErrorHandler(errors);
        scope.setNotFoundHandler((request, reply) => errors(nothingHere(), request, reply));
        await add(scope, context);
      },
      { prefix },
    );
  };
  // One guard around all of them: a client has one rate, whichever doors it uses.
  app.register(async (guarded) => {
    // Unless a route says better: RFC 9111 keeps a shared cache from an answer for its Authorization field alone, but keys
    // come in other ways as well, and a 404 for one client must never be shown to another.
    sendAlways(guarded, { 'cache-control': 'private, no-cache', vary: 'Authorization, X-API-Key' });
    paceRefusals(guarded);
    guarded.addHook('onRequest', ({ raw }, _reply, done) => {
      if (parts.isSpare(raw.socket)) done(unavailable('There is no place for another connection.'));
      else done();
    });
    await protect(guarded, parts.clients, rates.store);
    const rows = table.filter(({ access }) => access === 'clients');
    for (const row of rows.filter(({ always }) => always)) open(guarded, row);
    guarded.register(async (hindered) => {
      refuseWhenHindered(hindered, parts);
      for (const row of rows.filter(({ always }) => !always)) open(hindered, row);
    });
  });
  for (const row of table.filter(({ access }) => access === 'anyone')) open(app, row);
}

function nothingHere(): GatewayError {
  return new GatewayError('not-found', 'There is nothing here.');
}

/** Refused by Fastify before any scope is known, with no hook run (a malformed path): TAXII paths still get TAXII's form. */
export function frameworkErrorsOf({ taxii }: Pick<RouteParts, 'taxii'>, fields: Record<string, string>) {
  const roots = ['/taxii2/', '/api/taxii2/', ...taxii.apiRoots.map(({ path }) => path)];
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    const isTaxii = roots.some((root) => `${request.url.split('?')[0]}/`.startsWith(root));
    const refusal =
      error.statusCode === 414
        ? new GatewayError('uri-too-long', 'A part of the path is too long.', { cause: error })
        : new GatewayError('bad-request', 'The path is malformed.', { cause: error });
    (isTaxii ? replyWithErrorMessage : replyWithProblem)(refusal, request, reply.headers(fields));
  };
}

/** How Node names what it can't read; everything else is 400. */
const statusOfClientError: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Refused by Node before there is a request: the socket is all there is. */
export function writeClientError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const status = statusOfClientError[error.code ?? ''] ?? '400 Bad Request';
  const title = status.slice(4);
  // Readable as a TAXII error message and as problem details alike: which one was meant can't be known.
  const body = JSON.stringify({ title, description: title, detail: title, http_status: status.slice(0, 3) });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/taxii+json;version=2.1\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
