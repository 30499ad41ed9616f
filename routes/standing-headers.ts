import type { FastifyInstance } from 'fastify';

/** Header fields that each answer of a scope has unless it says something better; pages that are kept bring their own (page-cache.ts). */
export function sendAlways(scope: FastifyInstance, fields: Record<string, string>): void {
  const standing = Object.entries(fields);
  scope.addHook('onSend', (_request, reply, payload, done) => {
    for (const [name, value] of standing) if (!reply.hasHeader(name)) reply.header(name, value);
    done(null, payload);
  });
}
