import type { FastifyRequest } from 'fastify';
import { mayRead } from '../../src/auth/clients.ts';
import type { ListRequest } from '../../src/lists/build.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import { creditOf } from '../../src/stix/external-reference.ts';
import type { RouteContext } from '../parts.ts';
import type { Query } from '../query.ts';
import { readListQuery } from './parameters.ts';

/** What stands at an address: a list of the configuration, or a collection in a format. Throws `not-found`, and `bad-request`. */
export function findList(
  address: string,
  query: Query,
  { client }: Pick<FastifyRequest, 'client'>,
  { lists, collections, feeds }: RouteContext,
): ListRequest {
  const named = lists.named.find(({ name }) => name === address)?.list ?? null;
  const [alias = '', format = ''] = named === null ? address.split(/\.(.*)/s) : [named.collection];
  const collection = collections.find((each) => each.alias === alias || each.id === alias.toLowerCase());
  // Its readers alone learn what a collection is called.
  if (collection === undefined || !mayRead(client, collection))
    throw new GatewayError('not-found', 'There is no such list.');
  const asked = readListQuery(named, { collection: collection.alias, format }, query);
  return { ...asked, collection, credits: creditsOf(collection, feeds) };
}

function creditsOf({ alias }: CollectionDefinition, feeds: RouteContext['feeds']): string[] {
  const behind = feeds.filter(({ collections }) => collections.includes(alias));
  return behind.flatMap(({ definition }) => {
    const credit = creditOf(definition);
    return credit === null ? [] : [`${credit.source_name}: ${credit.description ?? ''}`];
  });
}
