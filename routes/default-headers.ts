import type { FastifyInstance } from 'fastify';

/** Adds these header fields to every answer of a scope that doesn't have them yet. Cached pages bring their own (page-cache.ts). */
export function setDefaultHeaders(scope: FastifyInstance, fields: Record<string, string>): void {
  const defaults = Object.entries(fields);
  scope.addHook('onSend', (_request, reply, payload, done) => {
    for (const [name, value] of defaults) if (!reply.hasHeader(name)) reply.header(name, value);
    done(null, payload);
  });
}
