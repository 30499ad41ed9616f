import type { FastifyRequest } from 'fastify';
import { mayRead } from '../../src/auth/clients.ts';
import type { CollectionDefinition, TaxiiDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Operation } from '../methods.ts';
import { readParams } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { STIX_TYPE, TAXII_TYPE } from './error-message.ts';
import { negotiate } from './negotiation.ts';
import { manifest, object, objects, versions } from './objects.ts';
import { sendResource } from './resource.ts';
import {
  apiRootSchema,
  collectionParams,
  collectionSchema,
  collectionsSchema,
  dateHeaders,
  envelopeSchema,
  manifestSchema,
  objectParams,
  objectQuery,
  objectsQuery,
  statusParams,
  type TaxiiText,
  taxiiOperation,
  versionsQuery,
  versionsSchema,
} from './schemas.ts';

/** Required by TAXII 2.1 section 4.2.1, though nothing can be written. */
const MAX_CONTENT_LENGTH = 10 * 1024 * 1024;

type ApiRoot = TaxiiDefinition['apiRoots'][number];

/** TAXII 2.1 section 4.2. */
export function getApiRoot({ title, description }: ApiRoot) {
  const apiRoot = {
    title,
    ...(description === null ? {} : { description }),
    versions: [TAXII_TYPE],
    max_content_length: MAX_CONTENT_LENGTH,
  };
  return (): Operation =>
    resource({ operationId: 'getApiRoot', summary: 'The api root (4.2)', reply: apiRootSchema }, () => apiRoot);
}

/** Section 4.3. */
export function getStatus(): Operation {
  const summary = 'The status of a write (4.3): there are none, so always 404';
  return resource({ operationId: 'getStatus', summary, params: statusParams }, () => {
    throw new GatewayError('not-found', 'There is no such status.');
  });
}

/** Section 5.1. */
export function getCollections({ collections }: RouteContext): Operation {
  return resource(
    { operationId: 'getCollections', summary: 'The collections the caller may read (5.1)', reply: collectionsSchema },
    ({ client }) => {
      const readable = collections.filter((collection) => mayRead(client, collection)).map(describe);
      return readable.length === 0 ? {} : { collections: readable };
    },
  );
}

/** Section 5.2. */
export function getCollection({ collections }: RouteContext): Operation {
  const text = {
    operationId: 'getCollection',
    summary: 'One collection (5.2)',
    params: collectionParams,
    reply: collectionSchema,
  };
  return resource(text, (request) => describeAsAsked(findCollection(request, collections), nameOf(request)));
}

/** Section 5.3. */
export function getManifest(context: RouteContext): Operation {
  const summary = 'What a collection holds, without the objects (5.3)';
  const text = { summary, params: collectionParams, query: objectsQuery, reply: manifestSchema };
  return pages({ operationId: 'getManifest', ...text }, manifest, context);
}

/** Section 5.4. */
export function getObjects(context: RouteContext): Operation {
  const summary = 'The objects of a collection (5.4)';
  const text = { summary, params: collectionParams, query: objectsQuery, reply: envelopeSchema };
  return pages({ operationId: 'getObjects', ...text }, objects, context);
}

/** Section 5.5. */
export function addObjects(context: RouteContext): Operation {
  return refusal(
    { operationId: 'addObjects', summary: 'Nothing can be written (5.5)', params: collectionParams },
    context,
  );
}

/** Section 5.6. */
export function getObject(context: RouteContext): Operation {
  const text = { summary: 'One object (5.6)', params: objectParams, query: objectQuery, reply: envelopeSchema };
  return pages({ operationId: 'getObject', ...text }, object, context);
}

/** Section 5.7. */
export function deleteObject(context: RouteContext): Operation {
  return refusal(
    { operationId: 'deleteObject', summary: 'Nothing can be deleted (5.7)', params: objectParams },
    context,
  );
}

/** Section 5.8. */
export function getVersions(context: RouteContext): Operation {
  const summary = 'The versions of an object (5.8)';
  const text = { summary, params: objectParams, query: versionsQuery, reply: versionsSchema };
  return pages({ operationId: 'getVersions', ...text }, versions, context);
}

/** A resource that is one JSON object. */
function resource(text: TaxiiText, answer: (request: FastifyRequest) => unknown): Operation {
  return taxiiOperation(text, async (request, reply) => {
    negotiate(request, false);
    return sendResource(reply, answer(request));
  });
}

/** A resource of a collection that is read page by page. */
function pages(text: TaxiiText, send: typeof objects, context: RouteContext): Operation {
  return taxiiOperation({ ...text, headers: dateHeaders }, (request, reply) => {
    const collection = findCollection(request, context.collections);
    context.reads.count(collection);
    return send(request, reply, collection, context);
  });
}

/** Sections 5.5 and 5.7: 403 for what can be read, 404 for what can't. */
function refusal(text: TaxiiText, { collections }: RouteContext): Operation {
  return taxiiOperation({ ...text, errors: ['forbidden'] }, async (request) => {
    findCollection(request, collections);
    throw new GatewayError('forbidden', 'This collection can be read, not written to.');
  });
}

function nameOf(request: FastifyRequest): string {
  return readParams(request, collectionParams).collection;
}

/** Finds a collection by id or alias. Throws `not-found` also for one that the client may not read. */
function findCollection(request: FastifyRequest, collections: CollectionDefinition[]): CollectionDefinition {
  const name = nameOf(request);
  const found = collections.find(({ id, alias }) => alias === name || id === name.toLowerCase());
  if (found === undefined || !mayRead(request.client, found))
    throw new GatewayError('not-found', 'There is no such collection.');
  return found;
}

function describe({ id, alias, title, description }: CollectionDefinition) {
  return {
    id,
    title,
    ...(description === null ? {} : { description }),
    alias,
    can_read: true,
    can_write: false,
    media_types: [STIX_TYPE],
  };
}

/**
 * Has the name of the request as its id: the OASIS client refuses a collection whose id is not in the URL. The list of collections
 * always has the real ids, and so has a strict collection (section 5.2: a UUID version 4).
 */
function describeAsAsked(collection: CollectionDefinition, name: string) {
  const described = describe(collection);
  return collection.strict ? described : { ...described, id: name };
}
