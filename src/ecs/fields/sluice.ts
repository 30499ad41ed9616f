import { differentPublishers } from '../../model/publisher.ts';
import { algorithmOf, nonEmpty } from '../parsed-entry.ts';
import { addresses, type EcsRow } from '../row.ts';

/** Fields of Sluice, for what neither ECS nor the integration has. */
export const sluiceRows: readonly EcsRow[] = [
  {
    field: 'sluice.collection',
    type: 'keyword',
    clause: 'the collection it was told in',
    fixed: (c) => c.collection.alias,
  },
  {
    field: 'sluice.type',
    type: 'keyword',
    clause: "Sluice's own word for what it is, as in its REST answers",
    of: ({ entry }) => entry.type,
  },
  {
    field: 'sluice.sources',
    type: 'keyword',
    clause: 'every publisher that reports it, strongest first',
    of: ({ claims }) => nonEmpty(differentPublishers(claims.map((claim) => claim.feed_name))),
  },
  {
    field: 'sluice.network',
    type: 'ip_range',
    clause: 'a CIDR; a term query for an address finds the networks that hold it',
    only: addresses,
    of: ({ network }) => network,
  },
  ...(['md5', 'sha1', 'sha256'] as const).map(
    (algorithm): EcsRow => ({
      field: `sluice.certificate.${algorithm}`,
      type: 'keyword',
      clause: `upper case as ECS TLS wants tls.server.hash.${algorithm}, so that a rule can compare them`,
      only: ['x509'],
      of: ({ entry }) => (algorithmOf(entry.value) === algorithm ? entry.value.toUpperCase() : undefined),
    }),
  ),
];
