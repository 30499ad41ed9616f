import type { FastifyRequest } from 'fastify';
import type { TaxiiDefinition } from '../../src/model/definition.ts';
import type { Operation } from '../methods.ts';
import type { RouteContext } from '../parts.ts';
import { describe, describeAsAsked, findCollection, rightsOf } from './collection.ts';
import { MAX_CONTENT_LENGTH } from './contributions.ts';
import { TAXII_TYPE } from './error-message.ts';
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
  type TaxiiText,
  taxiiOperation,
  versionsQuery,
  versionsSchema,
} from './schemas.ts';

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

/** Section 5.1. */
export function getCollections({ collections }: RouteContext): Operation {
  return resource(
    {
      operationId: 'getCollections',
      summary: 'The collections the caller may read or write to (5.1)',
      reply: collectionsSchema,
    },
    ({ client }) => {
      const shown = collections.flatMap((collection) => {
        const rights = rightsOf(client, collection);
        return rights.read || rights.write ? [describe(collection, rights)] : [];
      });
      return shown.length === 0 ? {} : { collections: shown };
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
  return resource(text, (request) => describeAsAsked(findCollection(request, collections, {}), request));
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

/** Section 5.6. */
export function getObject(context: RouteContext): Operation {
  const text = { summary: 'One object (5.6)', params: objectParams, query: objectQuery, reply: envelopeSchema };
  return pages({ operationId: 'getObject', ...text }, object, context);
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
  return taxiiOperation({ ...text, headers: dateHeaders, errors: ['forbidden'] }, (request, reply) => {
    const collection = findCollection(request, context.collections, { read: true });
    context.reads.count(collection);
    return send(request, reply, collection, context);
  });
}
