import type { FastifyInstance, FastifyRequest } from 'fastify';
import { mayRead } from '../../src/auth.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { RouteParts } from '../index.ts';
import { addResource, type Handlers } from '../methods.ts';
import { STIX_TYPE, TAXII_TYPE } from './error-message.ts';
import { negotiate } from './negotiation.ts';
import { manifest, object, objects, versions } from './objects.ts';
import { sendResource } from './resource.ts';

/** What can't be written to still has to say how much it would take (TAXII 2.1 section 4.2.1). */
const MAX_CONTENT_LENGTH = 10 * 1024 * 1024;

/** TAXII 2.1 sections 4.2, 4.3 and 5: one api root with all collections the caller may read. */
export function addApiRoot(
  scope: FastifyInstance,
  parts: RouteParts,
  root: RouteParts['taxii']['apiRoots'][number],
): void {
  const apiRoot = {
    title: root.title,
    ...(root.description === null ? {} : { description: root.description }),
    versions: [TAXII_TYPE],
    max_content_length: MAX_CONTENT_LENGTH,
  };
  const find = (request: FastifyRequest): CollectionDefinition => findCollection(request, parts.collections);
  const readOnly: Handlers['POST'] = async (request) => {
    find(request);
    throw new GatewayError('forbidden', 'This collection can be read, not written to.');
  };

  addResource(scope, '/', {
    GET: async (request, reply) => {
      negotiate(request, false);
      return sendResource(reply, apiRoot);
    },
  });
  addResource(scope, '/status/:status', {
    GET: async () => {
      throw new GatewayError('not-found', 'There is no such status.');
    },
  });
  addResource(scope, '/collections', {
    GET: async (request, reply) => {
      negotiate(request, false);
      const readable = parts.collections.filter((collection) => mayRead(request.client, collection)).map(describe);
      return sendResource(reply, readable.length === 0 ? {} : { collections: readable });
    },
  });
  addResource(scope, '/collections/:collection', {
    GET: async (request, reply) => {
      negotiate(request, false);
      return sendResource(reply, describe(find(request)));
    },
  });
  addResource(scope, '/collections/:collection/manifest', {
    GET: (request, reply) => manifest(request, reply, find(request), parts),
  });
  addResource(scope, '/collections/:collection/objects', {
    GET: (request, reply) => objects(request, reply, find(request), parts),
    POST: readOnly,
  });
  addResource(scope, '/collections/:collection/objects/:object', {
    GET: (request, reply) => object(request, reply, find(request), parts),
    DELETE: readOnly,
  });
  addResource(scope, '/collections/:collection/objects/:object/versions', {
    GET: (request, reply) => versions(request, reply, find(request), parts),
  });
}

/** By id or by alias; one that the client may not read is as unknown as one that isn't there. */
function findCollection({ params, client }: FastifyRequest, collections: CollectionDefinition[]): CollectionDefinition {
  const { collection: name } = params as { collection: string };
  const found = collections.find(({ id, alias }) => alias === name || id === name.toLowerCase());
  if (found === undefined || !mayRead(client, found))
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
