import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { mayRead } from '../../src/auth/clients.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import { addResource, type Operation } from '../methods.ts';
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

/** What can't be written to still has to say how much it would take (TAXII 2.1 section 4.2.1). */
const MAX_CONTENT_LENGTH = 10 * 1024 * 1024;

/** TAXII 2.1 sections 4.2, 4.3 and 5: one api root with all collections the caller may read. */
export function addApiRoot(
  scope: FastifyInstance,
  parts: RouteContext,
  root: RouteContext['taxii']['apiRoots'][number],
): void {
  const apiRoot = {
    title: root.title,
    ...(root.description === null ? {} : { description: root.description }),
    versions: [TAXII_TYPE],
    max_content_length: MAX_CONTENT_LENGTH,
  };
  const find: Find = (request) => findCollection(request, parts.collections);
  const { operation, read, refuse } = describeWith(root.path, parts, find);

  addResource(scope, '/', {
    GET: operation({ operationId: 'getApiRoot', summary: 'The api root (4.2)', reply: apiRootSchema }, () => apiRoot),
  });
  addResource(scope, '/status/:status', {
    GET: operation(
      {
        operationId: 'getStatus',
        summary: 'The status of a write (4.3): there are none, so always 404',
        params: statusParams,
        errors: ['not-found'],
      },
      () => {
        throw new GatewayError('not-found', 'There is no such status.');
      },
    ),
  });
  addResource(scope, '/collections', {
    GET: operation(
      { operationId: 'getCollections', summary: 'The collections the caller may read (5.1)', reply: collectionsSchema },
      ({ client }) => {
        const readable = parts.collections.filter((collection) => mayRead(client, collection)).map(describe);
        return readable.length === 0 ? {} : { collections: readable };
      },
    ),
  });
  addResource(scope, '/collections/:collection', {
    GET: operation(
      {
        operationId: 'getCollection',
        summary: 'One collection (5.2)',
        params: collectionParams,
        reply: collectionSchema,
        errors: ['not-found'],
      },
      (request) => describeAsAsked(find(request), nameOf(request)),
    ),
  });
  addResource(scope, '/collections/:collection/manifest', {
    GET: read(
      'getManifest',
      'What a collection holds, without the objects (5.3)',
      manifestSchema,
      objectsQuery,
      manifest,
    ),
  });
  addResource(scope, '/collections/:collection/objects', {
    GET: read('getObjects', 'The objects of a collection (5.4)', envelopeSchema, objectsQuery, objects),
    POST: refuse('addObjects', 'Nothing can be written (5.5)', collectionParams),
  });
  addResource(scope, '/collections/:collection/objects/:object', {
    GET: read('getObject', 'One object (5.6)', envelopeSchema, objectQuery, object, objectParams),
    DELETE: refuse('deleteObject', 'Nothing can be deleted (5.7)', objectParams),
  });
  addResource(scope, '/collections/:collection/objects/:object/versions', {
    GET: read('getVersions', 'The versions of an object (5.8)', versionsSchema, versionsQuery, versions, objectParams),
  });
}

type Find = (request: FastifyRequest) => CollectionDefinition;

/** The kinds of operation: a resource that is one JSON object, one that is walked page by page, and what is refused. */
function describeWith(path: string, parts: RouteContext, find: Find) {
  // One id per operation in the whole document: the first root has the plain names.
  const at = parts.taxii.apiRoots.findIndex((root) => root.path === path);
  const named = (operationId: string): string => (at <= 0 ? operationId : `${operationId}${at + 1}`);
  return {
    operation: (text: TaxiiText, answer: (request: FastifyRequest) => unknown): Operation =>
      taxiiOperation({ ...text, operationId: named(text.operationId) }, async (request, reply) => {
        negotiate(request, false);
        return sendResource(reply, answer(request));
      }),
    read: (
      operationId: string,
      summary: string,
      reply: TSchema,
      query: TSchema,
      send: typeof objects,
      params: TSchema = collectionParams,
    ): Operation =>
      taxiiOperation(
        { operationId: named(operationId), summary, params, query, reply, headers: dateHeaders, errors: ['not-found'] },
        (request, reply) => {
          const collection = find(request);
          parts.reads.note(collection);
          return send(request, reply, collection, parts);
        },
      ),
    /** Sections 5.5 and 5.7: 403 for what can be read, 404 for what can't. */
    refuse: (operationId: string, summary: string, params: TSchema): Operation =>
      taxiiOperation(
        { operationId: named(operationId), summary, params, errors: ['forbidden', 'not-found'] },
        async (request) => {
          find(request);
          throw new GatewayError('forbidden', 'This collection can be read, not written to.');
        },
      ),
  };
}

function nameOf({ params }: FastifyRequest): string {
  return (params as { collection: string }).collection;
}

/** By id or by alias; one that the client may not read is as unknown as one that isn't there. */
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
 * With the name it was asked by as its id: the OASIS client refuses a resource whose id is not a part of the URL that it asked.
 * Who lists collections always gets ids, and so does who asks a strict collection (section 5.2: a UUID version 4).
 */
function describeAsAsked(collection: CollectionDefinition, name: string) {
  const described = describe(collection);
  return collection.strict ? described : { ...described, id: name };
}
