import type { FastifyReply } from 'fastify';
import { TAXII_TYPE } from './error-message.ts';

/** Sends JSON as a Buffer: to text, Fastify would add a charset, which TAXII's type doesn't have. */
export function sendResource(reply: FastifyReply, resource: unknown): FastifyReply {
  return reply.header('content-type', TAXII_TYPE).send(Buffer.from(JSON.stringify(resource)));
}
