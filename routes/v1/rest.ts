import type { FastifyInstance } from 'fastify';
import { GatewayError } from '../../src/model/error.ts';
import type { RouteContext } from '../parts.ts';
import { addFeeds } from './feeds.ts';
import { addIocs } from './iocs.ts';
import { addLookup } from './lookup.ts';
import { addStix } from './stix.ts';

/** A thousand values to look up, each as long as a URL may be, still fit. */
const MAX_BODY = 2 * 1024 * 1024;

/** `/api/v1`: REST in SOC Defenders' shape, and what they have no path for. */
export function addRest(scope: FastifyInstance, context: RouteContext): void {
  readJsonBodies(scope);
  addIocs(scope, context);
  addStix(scope, context);
  addLookup(scope, context);
  addFeeds(scope, context);
}

function readJsonBodies(scope: FastifyInstance): void {
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
