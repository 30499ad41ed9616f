import { MICROS_PER_DAY, type Micros } from '../model/clock.ts';

/** Where documents go (docs/elasticsearch.md): an index of the live set, a data stream of versions, or the index of the SOC Defenders guide. */
export const ecsTargets = ['latest', 'stream', 'compat'] as const;
export type EcsTarget = (typeof ecsTargets)[number];

/** What the documents of a collection in a target have in common. One per sink and collection. */
export interface EcsContext {
  target: EcsTarget;
  /** `event.module`. Elastic's prebuilt indicator match rules take `ti_*`. */
  module: string;
  /** `event.dataset`. */
  dataset: string;
  /** `data_stream.*`; null in a plain index. */
  dataStream: { type: 'logs'; dataset: string; namespace: string } | null;
  /** `threat.feed.*`, for people. */
  feed: { name: string; reference?: string; description?: string; dashboardId?: string };
  /** `labels.is_ioc_transform_source`: true where a latest transform reads this index and rules read the transform's. */
  isTransformSource: boolean;
  /** How long an indicator without an end lives after its last change. */
  expirationDuration: Micros;
  collection: { alias: string; title: string };
}

/** `threat.feed.*` of a collection, where the sink's options don't set it. */
export function feedOf({
  feed: { name, reference, description },
}: {
  feed: { name: string; reference: string | null; description: string | null };
}): EcsContext['feed'] {
  return { name, ...(reference === null ? {} : { reference }), ...(description === null ? {} : { description }) };
}

export interface EcsPlace {
  target: EcsTarget;
  collection: { alias: string; title: string };
  /** `latest` and `stream`: the part of the name behind `ti_sluice_latest.` and `ti_sluice.`; default `indicator`. */
  stream?: string;
  /** `stream` only; default `default`. */
  namespace?: string;
  /** Default: named after the collection. */
  feed?: EcsContext['feed'];
  expirationDuration?: Micros;
}

/** The default of `ioc_expiration_duration` in Elastic's Custom Threat Intelligence integration. */
export const STANDARD_EXPIRATION: Micros = 90 * MICROS_PER_DAY;
const MODULE = 'ti_sluice';

/** The context of one collection in one target. */
export function ecsContext(place: EcsPlace): EcsContext {
  const { target, collection, stream = 'indicator', namespace = 'default' } = place;
  const dataset = target === 'compat' ? 'ti.socdefenders' : `${MODULE}.${stream}`;
  return {
    target,
    module: MODULE,
    dataset,
    dataStream:
      target === 'latest' ? null : { type: 'logs', dataset, namespace: target === 'compat' ? 'default' : namespace },
    feed: place.feed ?? { name: collection.title },
    isTransformSource: target === 'stream',
    expirationDuration: place.expirationDuration ?? STANDARD_EXPIRATION,
    collection,
  };
}

/** What documents are written to. */
export interface EcsDestination {
  /** An alias for `latest`, else a data stream. */
  name: string;
  /** The index of the alias, whose number changes with the mapping. Else the same as `name`. */
  index: string;
}

export function ecsDestination(place: Pick<EcsPlace, 'target' | 'stream' | 'namespace'>): EcsDestination {
  const { target, stream = 'indicator', namespace = 'default' } = place;
  const name =
    target === 'latest'
      ? `logs-${MODULE}_latest.${stream}`
      : target === 'stream'
        ? `logs-${MODULE}.${stream}-${namespace}`
        : 'logs-ti.socdefenders-default';
  return { name, index: target === 'latest' ? `${name}-1` : name };
}
