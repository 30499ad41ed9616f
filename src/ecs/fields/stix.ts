import { MICROS_PER_MS, type Micros } from '../../model/clock.ts';
import { formatDuration } from '../../model/duration.ts';
import type { Json } from '../../model/json.ts';
import { formatMillis } from '../../model/timestamp.ts';
import { markingId } from '../../stix/marking.ts';
import { formatPattern } from '../../stix/pattern.ts';
import { stixTypeOf } from '../../stix/properties.ts';
import { nonEmpty, type ParsedEntry, timeOf } from '../parsed-entry.ts';
import { type EcsRow, patterned } from '../row.ts';

const CUSTOM_TI = 'Custom Threat Intelligence integration (elastic/integrations ti_custom, fields.yml)';

/** What ECS has no field for, under the names of Elastic's Custom Threat Intelligence integration. */
export const stixRows: readonly EcsRow[] = [
  {
    field: 'stix.id',
    type: 'keyword',
    clause: `${CUSTOM_TI}; with event.dataset the key of a latest transform`,
    of: ({ entry }) => entry.objectId,
  },
  { field: 'stix.type', type: 'keyword', clause: CUSTOM_TI, of: ({ entry }) => stixTypeOf(entry.type) },
  { field: 'stix.spec_version', type: 'keyword', clause: CUSTOM_TI, fixed: () => '2.1' },
  { field: 'stix.created', type: 'date', clause: CUSTOM_TI, of: ({ entry }) => formatMillis(entry.created) },
  { field: 'stix.modified', type: 'date', clause: CUSTOM_TI, of: ({ entry }) => formatMillis(entry.version) },
  {
    field: 'stix.name',
    type: 'keyword',
    clause: 'STIX 2.1 section 4.7; the integration makes it threat.indicator.name',
    of: ({ entry }) => entry.name ?? undefined,
  },
  {
    field: 'stix.pattern',
    type: 'keyword',
    clause: CUSTOM_TI,
    only: patterned,
    of: ({ entry }) => formatPattern(entry),
  },
  { field: 'stix.pattern_type', type: 'keyword', clause: CUSTOM_TI, only: patterned, fixed: () => 'stix' },
  {
    field: 'stix.valid_from',
    type: 'date',
    clause: CUSTOM_TI,
    only: patterned,
    of: ({ entry }) => formatMillis(entry.validFrom),
  },
  {
    field: 'stix.valid_until',
    type: 'date',
    clause: CUSTOM_TI,
    only: patterned,
    of: ({ entry }) => timeOf(entry.validUntil),
  },
  { field: 'stix.confidence', type: 'integer', clause: CUSTOM_TI, of: ({ entry }) => entry.confidence ?? undefined },
  { field: 'stix.revoked', type: 'boolean', clause: CUSTOM_TI, of: ({ entry }) => entry.revoked },
  {
    field: 'stix.indicator_types',
    type: 'keyword',
    clause: CUSTOM_TI,
    only: patterned,
    of: ({ kept }) => kept['indicator_types'],
  },
  {
    field: 'stix.kill_chain_phases',
    type: 'flattened',
    clause: CUSTOM_TI,
    only: patterned,
    of: ({ kept }) => kept['kill_chain_phases'],
  },
  { field: 'stix.lang', type: 'keyword', clause: CUSTOM_TI, of: ({ kept }) => kept['lang'] },
  {
    field: 'stix.external_references',
    type: 'flattened',
    clause: CUSTOM_TI,
    of: ({ references }) => nonEmpty(references as unknown as Json[]),
  },
  {
    field: 'stix.object_marking_refs',
    type: 'keyword',
    clause: CUSTOM_TI,
    of: ({ entry, kept }) => [markingId(entry.tlp), ...((kept['object_marking_refs'] as string[] | undefined) ?? [])],
  },
  {
    field: 'stix.ioc_expiration_date',
    type: 'date',
    clause: `${CUSTOM_TI}; its transform deletes by it`,
    of: (parsed) => formatMillis(expirationOf(parsed)),
  },
  {
    field: 'stix.ioc_expiration_duration',
    type: 'keyword',
    clause: CUSTOM_TI,
    fixed: (c) => formatDuration(Math.round(c.expirationDuration / MICROS_PER_MS)),
  },
  {
    field: 'stix.ioc_expiration_reason',
    type: 'keyword',
    clause: `${CUSTOM_TI}, default.yml script_set_ioc_expiration_reason: its very words`,
    of: ({ entry }) =>
      entry.revoked
        ? 'Expiration set from revoked field'
        : entry.validUntil !== null
          ? 'Expiration set from valid_until field'
          : "Expiration set by Elastic from the integration's parameter `IOC Expiration Duration`",
  },
];

/**
 * When the document ends for a retention policy. A withdrawal ends it at once; the integration would let a revoked object live
 * until its old valid_until.
 */
function expirationOf({ entry, context, at }: ParsedEntry): Micros {
  if (entry.revoked) return Math.min(entry.version, entry.validUntil ?? entry.version);
  return entry.validUntil ?? at + context.expirationDuration;
}
