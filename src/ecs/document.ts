import type { IndicatorEntry } from '../model/entry.ts';
import type { JsonObject } from '../model/json.ts';
import { formatMillis } from '../model/timestamp.ts';
import type { EcsContext } from './data-stream.ts';

export type { EcsContext } from './data-stream.ts';

/**
 * One journal entry as an ECS 9.4 document (event.kind enrichment, category threat, type indicator). Pure: an entry always
 * gives the same document, so a repeated push is identical. `event.ingested` is left to the cluster.
 * A tombstone (`entry.revoked`) gives a document that has ended: `stix.revoked`, `stix.ioc_expiration_date` in the past.
 */
export function ecsDocument(entry: IndicatorEntry, context: EcsContext): JsonObject {
  return {
    '@timestamp': formatMillis(entry.version),
    ecs: { version: '9.4.0' },
    event: { kind: 'enrichment', category: ['threat'], type: ['indicator'], module: context.module },
    threat: { indicator: { name: entry.value } },
  };
}
