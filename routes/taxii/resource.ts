import type { FastifyReply } from 'fastify';
import { TAXII_TYPE } from './error-message.ts';

/** A Buffer, because Fastify adds a charset to the content type of text, and TAXII's type has none. */
export function sendResource(reply: FastifyReply, resource: unknown): FastifyReply {
  return reply.header('content-type', TAXII_TYPE).send(Buffer.from(JSON.stringify(resource)));
}
