import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Micros } from '../../src/model/clock.ts';
import type { ContributedObject, Contribution } from '../../src/model/contribution.ts';
import { GatewayError } from '../../src/model/error.ts';
import { formatMicros, formatVersion } from '../../src/model/timestamp.ts';
import { readRanges } from '../accept.ts';
import { refuseCodings } from '../coding.ts';
import type { Operation } from '../methods.ts';
import { readParams } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { readQuery } from '../query.ts';
import { findCollection } from './collection.ts';
import { TAXII_TYPE } from './error-message.ts';
import { readDeleted } from './filters.ts';
import { negotiate } from './negotiation.ts';
import { sendResource } from './resource.ts';
import {
  collectionParams,
  deletedSchema,
  deleteQuery,
  objectParams,
  statusParams,
  statusSchema,
  taxiiOperation,
  writtenSchema,
} from './schemas.ts';

/** The largest body of a post, which every api root announces (TAXII 2.1 section 4.2.1). */
export const MAX_CONTENT_LENGTH = 10 * 1024 * 1024;

/** A body as it came: it is read by the thread that writes. */
interface Posted {
  bytes: Buffer;
}

/**
 * Lets a scope take bodies. Whoever may not write is refused before the body is read; what is not TAXII by 415, what is larger than
 * announced by 413.
 */
export function readEnvelopes(scope: FastifyInstance, { collections, inFlight }: RouteContext): void {
  scope.addHook('preParsing', async (request, reply) => {
    const { method, headers, client, is404 } = request;
    if (method !== 'POST' || is404) return;
    findCollection(request, collections, { write: true });
    if (!isTaxii(headers['content-type']))
      throw new GatewayError('unsupported-media-type', `Send Content-Type: ${TAXII_TYPE}`);
    refuseCodings(request, reply);
    inFlight.admit(client.name);
    const length = Number(headers['content-length'] ?? MAX_CONTENT_LENGTH);
    inFlight.reserve(reply.raw, client.name, Math.min(length, MAX_CONTENT_LENGTH));
  });
  scope.addContentTypeParser(
    /^application\/taxii\+json/i,
    { parseAs: 'buffer', bodyLimit: MAX_CONTENT_LENGTH },
    async (_request: FastifyRequest, bytes: Buffer): Promise<Posted> => ({ bytes }),
  );
}

/** Of any version that is 2.1 or not named (section 3.1). */
function isTaxii(contentType: string | undefined): boolean {
  const [type] = readRanges(contentType);
  return type?.name === 'application/taxii+json' && (type.parameters.get('version') || '2.1') === '2.1';
}

/** Section 5.5. */
export function addObjects({ collections, contributions }: RouteContext): Operation {
  const text = {
    operationId: 'addObjects',
    summary: 'Add objects to a collection (5.5)',
    description: `What is answered is kept: nothing is pending. An object that is there already, in the same version, is a success and
changes nothing. Of an envelope some objects may be taken and others refused, each with its reason.`,
    params: collectionParams,
    body: writtenSchema,
    consumes: TAXII_TYPE,
    accepted: { description: 'What became of the objects.', content: { [TAXII_TYPE]: statusSchema } },
    errors: ['forbidden', 'unprocessable'] as const,
  };
  return taxiiOperation(text, async (request, reply) => {
    negotiate(request, false);
    const collection = findCollection(request, collections, { write: true });
    const by = { client: request.client.name, collection: collection.alias };
    const bytes = (request.body as Posted | undefined)?.bytes ?? new Uint8Array();
    return sendStatus(reply.code(202), await contributions.addEnvelope(by, bytes));
  });
}

/** Section 4.3. Nobody but the client that added the objects may ask. */
export function getStatus({ reader }: RouteContext): Operation {
  const text = {
    operationId: 'getStatus',
    summary: 'What became of the objects of a post (4.3)',
    description: 'For the client that posted them, for two days, and of its last 200 posts.',
    params: statusParams,
    reply: statusSchema,
  };
  return taxiiOperation(text, async (request, reply) => {
    negotiate(request, false);
    const contribution = await reader.contribution(readParams(request, statusParams).status.toLowerCase());
    if (contribution?.client !== request.client.name) throw new GatewayError('not-found', 'There is no such status.');
    return sendStatus(reply, contribution);
  });
}

/** Section 5.7: both rights are needed; without `match[version]` all versions go. */
export function deleteObject({ collections, contributions }: RouteContext): Operation {
  const text = {
    operationId: 'deleteObject',
    summary: 'Remove an object from a collection (5.7)',
    description:
      'For clients that may both read and write. Without `match[version]` all versions of the object are removed.',
    params: objectParams,
    query: deleteQuery,
    reply: deletedSchema,
    errors: ['forbidden'] as const,
  };
  return taxiiOperation(text, async (request, reply) => {
    negotiate(request, false);
    const { alias } = findCollection(request, collections, { read: true, write: true });
    const { object } = readParams(request, objectParams);
    const versions = readDeleted(readQuery(request));
    const by = { client: request.client.name, collection: alias };
    const removed = versions === null ? 0 : await contributions.removeObject(by, object, versions);
    if (removed === 0) throw new GatewayError('not-found', 'There is no such object in this collection.');
    return sendResource(reply, {});
  });
}

/** Section 4.3.1: counts are numbers and lists are never empty. */
function sendStatus(reply: FastifyReply, { id, at, taken, refused }: Contribution): FastifyReply {
  const described = (objects: readonly ContributedObject[]) => objects.map((object) => describeObject(object, at));
  return sendResource(reply, {
    id,
    status: 'complete',
    request_timestamp: formatMicros(at),
    total_count: taken.length + refused.length,
    success_count: taken.length,
    ...(taken.length === 0 ? {} : { successes: described(taken) }),
    failure_count: refused.length,
    ...(refused.length === 0 ? {} : { failures: described(refused) }),
    pending_count: 0,
  });
}

/** `version` is required, so an object without one has the time of the request. */
function describeObject({ id, version, message }: ContributedObject, at: Micros) {
  return { id, version: formatVersion(version ?? at), ...(message === null ? {} : { message }) };
}
