import type { Config } from '../config/config.ts';
import type { SinkVerbs } from '../control/context.ts';
import { Delivery, shownSetup } from '../delivery/delivery.ts';
import type { Clock } from '../model/clock.ts';
import type { DeliveryReport } from '../model/control.ts';
import { lastVersions } from '../model/entry-filter.ts';
import { GatewayError } from '../model/error.ts';
import { sinkKinds } from '../sinks/registry.ts';
import type { Sink, SinkKind } from '../sinks/sink.ts';
import { identityId } from '../stix/id.ts';
import type { Writer } from '../store/store.ts';

export interface Deliveries extends SinkVerbs {
  /** Delivers to this sink now, as happens every few seconds while it runs. Throws as `retry`. */
  deliver(sink: string): Promise<DeliveryReport>;
  /** There is something new: whoever waits for its time delivers now. */
  wake(): void;
  /** Delivers to all sinks until the signal ends it. */
  run(): Promise<unknown>;
  close(): Promise<unknown>;
}

export interface DeliveriesParts {
  clock: Clock;
  writer: Writer;
  namespace: string;
  userAgent: string;
  onError(error: unknown): void;
  signal: AbortSignal;
}

/** Opens the configured sinks and delivers to them. */
export function openDeliveries(
  config: Pick<Config, 'sinks' | 'idleSinks' | 'journals' | 'base'>,
  { clock, writer, namespace, userAgent, onError, signal }: DeliveriesParts,
): Deliveries {
  const openSink = ({ name, kind, options }: Pick<Config['sinks'][number], 'name' | 'kind' | 'options'>): Sink => {
    const id = identityId(namespace);
    const producer = () => readProducer(writer, config.journals[0]?.name, id);
    const context = { name, options, base: config.base, identityId: id, producer, clock, userAgent };
    return (sinkKinds[kind as keyof typeof sinkKinds] as SinkKind).open(context);
  };
  const sinks = config.sinks.map(({ name, kind, collections, every, ...rest }) => {
    return { name, kind, sink: openSink({ name, kind, ...rest }), collections, every };
  });
  const deliveries = new Map(
    sinks.map((own) => {
      const keepOf = (journal: string): number => config.journals.find((j) => j.name === journal)?.keep ?? 0;
      const parts = { clock, store: writer, keepOf, report: onError, signal };
      const others = sinks.filter(({ name, sink }) => name !== own.name && sink.targetId === own.sink.targetId);
      const elsewhere = new Set(others.flatMap(({ collections }) => collections.map(({ alias }) => alias)));
      return [own.name, { delivery: new Delivery({ ...own, elsewhere }, parts), sink: own.sink }];
    }),
  );
  const deliveryOf = (name: string): Delivery => {
    const found = deliveries.get(name)?.delivery;
    if (found === undefined) throw noSink(name);
    return found;
  };

  return {
    // Of the sinks that are on.
    status: () => Promise.all([...deliveries.values()].map(({ delivery }) => delivery.status())),
    deliver: async (name) => deliveryOf(name).once(),
    async setUp(name, isDryRun) {
      // A dry run may show how to make the very key that an idle sink lacks.
      const idle = isDryRun ? config.idleSinks.find((sink) => sink.name === name) : undefined;
      return idle === undefined ? deliveryOf(name).setUp(isDryRun) : shownSetup(openSink(idle));
    },
    retry: async (name) => deliveryOf(name).redeliver(),
    rebuild: async (name) => deliveryOf(name).rebuild(),
    rebuildProgress: (name) => deliveryOf(name).progress(),
    async deadLetters(name, limit) {
      if (![...config.sinks, ...config.idleSinks].some((sink) => sink.name === name)) throw noSink(name);
      return writer.deadLetters(name, null, limit);
    },
    wake: () => {
      for (const { delivery } of deliveries.values()) delivery.wake();
    },
    run: () => Promise.all([...deliveries.values()].map(({ delivery }) => delivery.run())),
    close: () => Promise.allSettled([...deliveries.values()].map(({ sink }) => sink.close())),
  };
}

/** The identity as it stands in a journal; every journal has the same. */
async function readProducer(writer: Writer, journal: string | undefined, id: string): Promise<string[]> {
  if (journal === undefined) return [];
  const { entries } = await writer.page({ ...lastVersions(journal), objectIds: [id], after: 0, limit: 1 });
  return entries.flatMap((entry) => (entry.kind === 'object' ? [entry.raw] : []));
}

function noSink(name: string): GatewayError {
  return new GatewayError('not-found', `No sink is called ${name}, or it is switched off.`);
}
