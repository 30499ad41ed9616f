import { formatMicros, formatMillis } from '../model/timestamp.ts';
import { sluiceRows } from './fields/sluice.ts';
import { stixRows } from './fields/stix.ts';
import { threatRows } from './fields/threat.ts';
import { valueRows } from './fields/value.ts';
import { isIpHost } from './parsed-entry.ts';
import { type EcsRow, hashes, hosts } from './row.ts';

export const ECS_VERSION = '9.4.0';

/** ECS Base, Event, Data stream, Labels, Tags. */
const eventRows: readonly EcsRow[] = [
  {
    field: '@timestamp',
    type: 'date',
    clause:
      'ECS Base: when it happened, here when this version was made or last renewed. A latest transform sorts by it, so whole milliseconds must rise with each version of an id.',
    of: ({ at }) => formatMillis(at),
  },
  { field: 'ecs.version', type: 'keyword', clause: 'ECS ECS', fixed: () => ECS_VERSION },
  { field: 'data_stream.type', type: 'constant_keyword', clause: 'ECS Data stream', fixed: (c) => c.dataStream?.type },
  {
    field: 'data_stream.dataset',
    type: 'constant_keyword',
    clause: 'ECS Data stream',
    fixed: (c) => c.dataStream?.dataset,
  },
  {
    field: 'data_stream.namespace',
    type: 'constant_keyword',
    clause: 'ECS Data stream',
    fixed: (c) => c.dataStream?.namespace,
  },
  { field: 'event.kind', type: 'keyword', clause: 'ECS Event: enrichment, threat', fixed: () => 'enrichment' },
  { field: 'event.category', type: 'keyword', clause: 'ECS Event: threat', fixed: () => ['threat'] },
  {
    field: 'event.type',
    type: 'keyword',
    clause: 'ECS Event: indicator, of category threat',
    fixed: () => ['indicator'],
  },
  { field: 'event.module', type: 'keyword', clause: 'ECS Event; prebuilt rules ask for ti_*', fixed: (c) => c.module },
  { field: 'event.dataset', type: 'keyword', clause: 'ECS Event', fixed: (c) => c.dataset },
  { field: 'event.id', type: 'keyword', clause: 'ECS Event: the id at its source', of: ({ entry }) => entry.objectId },
  {
    field: 'event.created',
    type: 'date',
    clause: 'ECS Event: when a pipeline first had it; here the date_added of the journal entry, to the microsecond',
    of: ({ entry }) => formatMicros(entry.dateAdded),
  },
  {
    field: 'event.reason',
    type: 'keyword',
    clause: 'ECS Event: why it happened, by its source; here why an indicator was withdrawn',
    of: ({ entry }) => entry.reason ?? undefined,
  },
  {
    field: 'labels.is_ioc_transform_source',
    type: 'keyword',
    clause: 'ECS Base labels; prebuilt rules leave out what says "true", as do Elastic\'s own integrations',
    fixed: (c) => (c.isTransformSource ? 'true' : undefined),
  },
  {
    field: 'tags',
    type: 'keyword',
    clause:
      'ECS Base: forwarded and the stream, as integrations do, then TLP for rules that know no markings, then labels',
    of: ({ entry, context, labels }) => ['forwarded', context.dataset.replace('.', '-'), `tlp:${entry.tlp}`, ...labels],
  },
];

/** ECS Related: where analysts pivot. */
const relatedRows: readonly EcsRow[] = [
  {
    field: 'related.ip',
    type: 'ip',
    clause: 'ECS Related',
    only: ['ipv4', 'ipv6', 'url'],
    of: ({ address, host }) => {
      if (address !== undefined) return [address];
      return host !== undefined && isIpHost(host) ? [host.replace(/^\[|\]$/g, '')] : undefined;
    },
  },
  {
    field: 'related.hosts',
    type: 'keyword',
    clause: 'ECS Related',
    only: hosts,
    of: ({ host, name }) => (host === undefined || name === undefined ? undefined : [host]),
  },
  {
    field: 'related.hash',
    type: 'keyword',
    clause: 'ECS Related',
    only: [...hashes, 'x509'],
    of: ({ entry }) => [entry.value],
  },
  { field: 'related.user', type: 'keyword', clause: 'ECS Related', only: ['email'], of: ({ entry }) => [entry.value] },
];

/** Every field, in the order a document has them. */
export const ecsFields: readonly EcsRow[] = [
  ...eventRows,
  ...threatRows,
  ...valueRows,
  ...relatedRows,
  ...stixRows,
  ...sluiceRows,
];
