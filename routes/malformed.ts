import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { GatewayError } from '../src/model/error.ts';
import type { RouteParts } from './parts.ts';
import { replyWithProblem } from './problem.ts';
import { replyWithErrorMessage } from './taxii/error-message.ts';

/** Requests that are refused before any route is known. */

/** Refused by Fastify, with no hook run (a malformed path): TAXII paths still get TAXII's form. */
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
