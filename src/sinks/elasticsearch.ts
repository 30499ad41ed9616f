import { type EcsContext, ecsContext, ecsDestination, feedOf } from '../ecs/data-stream.ts';
import { documentTime } from '../ecs/renewal.ts';
import { MICROS_PER_MS, type Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { createPusher } from './elasticsearch/bulk.ts';
import { connect } from './elasticsearch/connection.ts';
import { checkOptions, type ElasticsearchOptions, optionsSchema } from './elasticsearch/options.ts';
import { installStep, setupOf } from './elasticsearch/setup.ts';
import { isEmpty, sweepIndex } from './elasticsearch/sweep.ts';
import type { SinkCollection, SinkContext, SinkKind } from './sink.ts';

/** ECS documents for Elastic Security, by bulk. Serves Elasticsearch 8 and 9. */
export const elasticsearch: SinkKind<ElasticsearchOptions> = {
  name: 'elasticsearch',
  title: 'ECS documents in Elasticsearch',
  options: optionsSchema,
  check: checkOptions,
  open(context) {
    const { options } = context;
    const connection = connect(context);
    const contexts = new Map<string, EcsContext>();
    const contextOf = (collection: SinkCollection): EcsContext => {
      const known = contexts.get(collection.alias) ?? describeCollection(context, collection);
      contexts.set(collection.alias, known);
      return known;
    };
    const { target } = options;
    const destination = ecsDestination(options);
    const push = createPusher({
      connection,
      target,
      destination: destination.name,
      flushBytes: options.flush_bytes,
      contextOf,
      clock: context.clock,
    });
    return {
      targetId: JSON.stringify([[options.node ?? options.cloud_id ?? ''].flat().sort(), target, destination.name]),
      holds: target === 'latest' ? 'live' : 'versions',
      // Documents carry ids and external versions, so the order in which operations arrive does not matter.
      concurrency: options.concurrency,
      setup: () => setupOf(options, destination),
      install: (step, signal) => installStep(connection, step, signal),
      push,
      needsRenewal: target === 'compat' ? null : needsRenewal,
      isEmpty: async (collection, signal) =>
        target === 'latest' && isEmpty(connection, destination.name, collection, signal),
      sweep: (collection, isLive, signal) =>
        target === 'latest' ? sweepIndex(connection, destination.name, collection, isLive, signal) : Promise.resolve(0),
      close: () => connection.close(),
    };
  },
};

/** True when the document's `@timestamp` would be later at `now` than at `since` (ecs/renewal.ts). */
function needsRenewal(entry: IndicatorEntry, since: Micros, now: Micros): boolean {
  return documentTime(entry, now) > documentTime(entry, since);
}

/** What the documents of a collection say besides its entries. */
function describeCollection({ options }: SinkContext<ElasticsearchOptions>, collection: SinkCollection): EcsContext {
  const { target, stream, namespace, feed, ioc_expiration_duration: duration } = options;
  const { alias, title } = collection;
  const own = { ...feedOf(collection), ...feed };
  const { dashboard_id: dashboardId, ...names } = own;
  return ecsContext({
    target,
    collection: { alias, title },
    stream,
    namespace,
    feed: { ...names, ...(dashboardId === undefined ? {} : { dashboardId }) },
    expirationDuration: duration * MICROS_PER_MS,
  });
}
