import type { FastifyRequest } from 'fastify';
import { mayRead, mayWrite } from '../../src/auth/clients.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Client } from '../../src/model/state.ts';
import { readParams } from '../operation.ts';
import { STIX_TYPE } from './error-message.ts';
import { collectionParams } from './schemas.ts';

/** What a client may do with a collection: reading and writing are rights apart (TAXII 2.1 section 5.2). */
export interface Rights {
  read: boolean;
  write: boolean;
}

export function rightsOf(client: Client, collection: CollectionDefinition): Rights {
  return { read: mayRead(client, collection), write: mayWrite(client, collection) };
}

/**
 * Finds the collection of the request by id or alias. One that the client has no right to is `not-found`; one that it has other rights
 * to is `forbidden` (sections 5.3 to 5.8).
 */
export function findCollection(
  request: FastifyRequest,
  collections: readonly CollectionDefinition[],
  needed: Partial<Rights>,
): CollectionDefinition {
  const name = nameOf(request);
  const found = collections.find(({ id, alias }) => alias === name || id === name.toLowerCase());
  const rights = found === undefined ? { read: false, write: false } : rightsOf(request.client, found);
  if (found === undefined || !(rights.read || rights.write))
    throw new GatewayError('not-found', 'There is no such collection.');
  if (needed.read && !rights.read)
    throw new GatewayError('forbidden', 'This client may write to the collection, not read it.');
  if (needed.write && !rights.write)
    throw new GatewayError('forbidden', 'This client may read the collection, not write to it.');
  return found;
}

export function describe({ id, alias, title, description }: CollectionDefinition, { read, write }: Rights) {
  return {
    id,
    title,
    ...(description === null ? {} : { description }),
    alias,
    can_read: read,
    can_write: write,
    media_types: [STIX_TYPE],
  };
}

/**
 * Has the name of the request as its id: the OASIS client refuses a collection whose id is not in the URL. The list of collections
 * always has the real ids, and so has a strict collection (section 5.2: a UUID version 4).
 */
export function describeAsAsked(collection: CollectionDefinition, request: FastifyRequest) {
  const described = describe(collection, rightsOf(request.client, collection));
  return collection.strict ? described : { ...described, id: nameOf(request) };
}

function nameOf(request: FastifyRequest): string {
  return readParams(request, collectionParams).collection;
}
