import type { Config } from '../config/config.ts';
import { Delivery, shownSetup } from '../delivery/delivery.ts';
import type { Clock } from '../model/clock.ts';
import type { Control, DeliveryReport, SinkStatus } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import { sinkKinds } from '../sinks/registry.ts';
import type { Sink, SinkKind } from '../sinks/sink.ts';
import { identityId } from '../stix/id.ts';
import type { Writer } from '../store/store.ts';

export interface SinkAdministration
  extends Pick<Control, 'setUpSink' | 'retrySink' | 'rebuildSink' | 'rebuildProgress' | 'deadLetters'> {
  /** Delivers to this sink now, as happens every few seconds while it runs. Throws as `rebuildSink`. */
  deliver(sink: string): Promise<DeliveryReport>;
}

export interface Sinks {
  methods: SinkAdministration;
  /** Of those that are on. */
  status(): Promise<SinkStatus[]>;
  /** Delivers to all of them until the signal ends it. */
  run(): Promise<unknown>;
  close(): Promise<unknown>;
}

export interface SinksParts {
  clock: Clock;
  writer: Writer;
  namespace: string;
  userAgent: string;
  onError(error: unknown): void;
  signal: AbortSignal;
}

/** The configured push targets: opened, delivered to, and what commands ask of them. */
export function openSinks(
  config: Pick<Config, 'sinks' | 'idleSinks' | 'journals' | 'base'>,
  { clock, writer, namespace, userAgent, onError, signal }: SinksParts,
): Sinks {
  const openSink = ({ name, kind, options }: Pick<Config['sinks'][number], 'name' | 'kind' | 'options'>): Sink => {
    const context = { name, options, base: config.base, identityId: identityId(namespace), clock, userAgent };
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
    if (found === undefined) throw new GatewayError('not-found', `No sink is called ${name}, or it is switched off.`);
    return found;
  };

  return {
    methods: {
      deliver: async (name) => deliveryOf(name).once(),
      async setUpSink(name, dryRun) {
        // Its key may be what the dry run tells how to make.
        const idle = dryRun ? config.idleSinks.find((sink) => sink.name === name) : undefined;
        return idle === undefined ? deliveryOf(name).setUp(dryRun) : shownSetup(openSink(idle));
      },
      retrySink: async (name) => deliveryOf(name).redeliver(),
      rebuildSink: async (name) => deliveryOf(name).rebuild(),
      rebuildProgress: async (name) => deliveryOf(name).progress(),
      deadLetters: async (name, limit) => {
        if (![...config.sinks, ...config.idleSinks].some((sink) => sink.name === name)) deliveryOf(name);
        return writer.deadLetters(name, null, limit);
      },
    },
    status: () => Promise.all([...deliveries.values()].map(({ delivery }) => delivery.status())),
    run: () => Promise.all([...deliveries.values()].map(({ delivery }) => delivery.run())),
    close: () => Promise.allSettled([...deliveries.values()].map(({ sink }) => sink.close())),
  };
}
