import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type ClientDirectory, protect } from '../src/auth.ts';
import type { Clock } from '../src/model/clock.ts';
import type { CollectionDefinition } from '../src/model/definition.ts';
import { GatewayError } from '../src/model/error.ts';
import type { Reader } from '../src/store/store.ts';
import { addHealth } from './health.ts';
import { replyWithProblem } from './problem.ts';
import { addApiRoot } from './taxii/api-root.ts';
import { addDiscovery } from './taxii/discovery.ts';
import { replyWithErrorMessage } from './taxii/error-message.ts';
import { addIocs } from './v1/iocs.ts';

export interface RouteParts {
  clock: Clock;
  reader: Reader;
  clients: ClientDirectory;
  collections: CollectionDefinition[];
  taxii: {
    title: string;
    description: string | null;
    contact: string | null;
    apiRoots: { path: string; title: string; description: string | null }[];
    pageSize: number;
    maxPage: number;
  };
  /** `created_by_ref` of what is issued. */
  identityId: string;
  /** Signs cursors; hex. */
  cursorSecret: string;
  /** Tells the writer that a journal is read, so that an overdue feed is tried again. Cheap; nobody waits for it. */
  touch(journal: string): void;
}

type Renderer = (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply;
interface Row {
  prefix: string;
  add(scope: FastifyInstance, parts: RouteParts): void;
  errors: Renderer;
  access: 'clients' | 'anyone';
}

/** Every door there is: prefix -> plugin -> how it words its errors -> who may call. */
function tableOf({ taxii }: RouteParts): Row[] {
  const discovery = { add: addDiscovery, errors: replyWithErrorMessage, access: 'clients' } as const;
  return [
    { prefix: '/taxii2', ...discovery },
    { prefix: '/api/taxii2', ...discovery },
    ...taxii.apiRoots.map((root) => ({
      prefix: root.path.slice(0, -1),
      add: (scope: FastifyInstance, parts: RouteParts) => addApiRoot(scope, parts, root),
      errors: replyWithErrorMessage,
      access: 'clients' as const,
    })),
    { prefix: '/api/v1', add: addIocs, errors: replyWithProblem, access: 'clients' },
    { prefix: '', add: addHealth, errors: replyWithProblem, access: 'anyone' },
  ];
}

export function registerRoutes(app: FastifyInstance, parts: RouteParts): void {
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
        add(scope, parts);
      },
      { prefix },
    );
  };
  // One guard around all of them: a client has one rate, whichever doors it uses.
  app.register(async (guarded) => {
    await protect(guarded, parts.clients);
    for (const row of table.filter(({ access }) => access === 'clients')) open(guarded, row);
  });
  for (const row of table.filter(({ access }) => access === 'anyone')) open(app, row);
}

function nothingHere(): GatewayError {
  return new GatewayError('not-found', 'There is nothing here.');
}

/** Refused by Fastify before any scope is known (a malformed path): TAXII paths still get TAXII's form. */
export function renderFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  (looksLikeTaxii(request.url) ? replyWithErrorMessage : replyWithProblem)(
    new GatewayError('bad-request', 'The path is malformed.', { cause: error }),
    request,
    reply,
  );
}

function looksLikeTaxii(path: string): boolean {
  return /^\/(?:api\/)?taxii2(?:\/|$)/.test(path);
}

/** Refused by Node before there is a request: the socket is all there is. */
export function writeClientError(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) return void socket.destroy();
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const title = status.slice(4);
  // Readable as a TAXII error message and as problem details alike: which one was meant can't be known.
  const body = JSON.stringify({ title, description: title, detail: title, http_status: status.slice(0, 3) });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/taxii+json;version=2.1\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
