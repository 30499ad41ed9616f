import { BlockList, isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { CollectionDefinition, NamedList } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Client } from '../../src/model/state.ts';
import type { Guests } from '../sign-in.ts';

/** Requests of all that read one list without a key. */
const RATE = { max: 600, per: 60_000 } as const;
/** Seconds after which a reader that is told 503 may try again. */
const RETRY_AFTER = 300;

/** Who reads a list without a key, and what is answered to who may not: both as its section of the configuration says. */
export function listGuests(lists: readonly NamedList[], collections: readonly CollectionDefinition[]): Guests {
  const doors = new Map(
    lists.map((named) => [named.name, { ...named, networks: networksOf(named), guest: guestOf(named, collections) }]),
  );
  const doorOf = ({ routeOptions, params }: FastifyRequest) =>
    /^(?:\/api\/v1)?\/lists\/:list$|^\/lists\/t\/:token\/:list$/.test(routeOptions.url ?? '')
      ? doors.get((params as { list: string }).list)
      : undefined;
  return {
    find(request, address) {
      const door = doorOf(request);
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      return door?.networks.check(address, family) ? door.guest : null;
    },
    refuse(request, error) {
      const code = doorOf(request)?.onRefused ?? 'unauthenticated';
      if (code === 'unauthenticated' || error.code !== 'unauthenticated') return error;
      const more = code === 'unavailable' ? { retryAfter: RETRY_AFTER } : {};
      return new GatewayError(
        code,
        code === 'not-found' ? 'There is no such list.' : 'This list is not for this caller.',
        more,
      );
    },
  };
}

function networksOf({ allowFrom }: NamedList): BlockList {
  const networks = new BlockList();
  for (const network of allowFrom) {
    const [address = '', prefix] = network.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, Number(prefix), family);
  }
  return networks;
}

/** It may read what the list's collection holds. No client can have its name. */
function guestOf({ name, list }: NamedList, collections: readonly CollectionDefinition[]): Client | null {
  const collection = collections.find(({ alias }) => alias === list.collection);
  if (collection === undefined) return null;
  return {
    name: `list:${name}`,
    role: 'reader',
    collections: [collection.alias],
    tlp: collection.tlp,
    rate: RATE,
    createdAt: 0,
    revokedAt: null,
    keyHashes: [],
    certificates: [],
    pathKey: false,
    writes: [],
  };
}
