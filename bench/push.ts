import { join } from 'node:path';
import { Client } from '@elastic/elasticsearch';
import { rebuild } from '../src/delivery/rebuild.ts';
import { ecsContext, ecsDestination } from '../src/ecs/data-stream.ts';
import { ecsDocument } from '../src/ecs/document.ts';
import { systemClock } from '../src/model/clock.ts';
import type { IndicatorEntry } from '../src/model/entry.ts';
import { type JsonObject, jsonText } from '../src/model/json.ts';
import { sinkKinds } from '../src/sinks/registry.ts';
import type { Sink } from '../src/sinks/sink.ts';
import { startElasticsearch } from '../test/helpers/elasticsearch.ts';
import { indicatorEntry, START, storeIn, uuidOf } from '../test/helpers/store.ts';
import {
  givenTask,
  inProcess,
  machine,
  measure,
  median,
  peakMemory,
  printTable,
  temporaryDirectory,
} from './measure.ts';

/**
 * Documents a second into a real node: the whole way from the store (`rebuild` of an empty index: pages, ECS, bulk, checkpoint) beside
 * `client.helpers.bulk` with documents that are there already. `node bench/push.ts [COUNT] [ROUNDS] [VERSION]`. All take turns on
 * one node, each in a process of its own and on a fresh index. A quarter of COUNT shows whether memory grows with it.
 */
const { index } = ecsDestination({ target: 'latest' });
const CONCURRENCY = 4;
const FLUSH = 5_000_000;
const HEAP = ['--max-old-space-size=256', '--max-semi-space-size=8'];
const collection = { alias: 'all', title: 'All indicators' };
const signal = new AbortController().signal;

const contenders = ['helpers.bulk, ready documents', 'Sluice, from the store', 'Sluice, a quarter of it'] as const;
interface Task {
  contender: (typeof contenders)[number];
  node: string;
  /** Of the stores, by their number of entries. */
  base: string;
  count: number;
  /** Each is the first way to an empty index: a name under which nothing was delivered yet. */
  round: number;
}
interface Result {
  wall: number;
  cpu: number;
  peak: number;
}

function entryOf(n: number): IndicatorEntry {
  return indicatorEntry({
    type: 'url',
    value: `http://host-${n}.evil.example.com/a/b${n}/run.exe?id=${n}`,
    objectId: `indicator--${uuidOf(String(n))}`,
    description: 'Reported by the feed',
    labels: jsonText(['malware', `family-${n % 50}`]),
    references: jsonText([{ source_name: 'URLhaus', url: `https://urlhaus.example/url/${n}/` }]),
  });
}

const BATCH = 10_000;

async function fillStore(location: string, count: number): Promise<void> {
  const writer = await storeIn(location).openWriter(systemClock);
  await writer.transaction((tx) => tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions: 'last' }));
  for (let from = 0; from < count; from += BATCH) {
    await writer.transaction(async (tx) => {
      const dates = await tx.stamp('pool:main', Math.min(BATCH, count - from));
      const dated = dates.map((dateAdded, i) => {
        return { entry: { ...entryOf(from + i), dateAdded: dateAdded ?? START }, replaces: null };
      });
      await tx.append('pool:main', dated);
    });
  }
  await writer.close();
}

function openSink(node: string, base: string): Sink {
  const options = {
    ...{ node, target: 'latest', stream: 'indicator', namespace: 'default', timeout: 60_000 },
    ...{ ioc_expiration_duration: 7_776_000_000, flush_bytes: FLUSH, concurrency: CONCURRENCY },
  };
  const context = {
    name: 'bench',
    base,
    identityId: '',
    producer: async () => [],
    clock: systemClock,
    userAgent: 'Sluice/bench',
  };
  return sinkKinds.elasticsearch.open({ ...context, options: options as never });
}

async function pushReady({ node, count }: Task): Promise<Result> {
  const context = ecsContext({ target: 'latest', collection });
  const ready: JsonObject[] = Array.from({ length: count }, (_, n) => ecsDocument(entryOf(n), context));
  const client = new Client({ node });
  const cost = await measure(() =>
    client.helpers.bulk({
      datasource: ready,
      flushBytes: FLUSH,
      concurrency: CONCURRENCY,
      onDocument: ({ event }) => ({ index: { _index: index, _id: (event as any).id } }),
    }),
  );
  await client.close();
  return { ...cost, peak: peakMemory() };
}

async function pushStored({ node, base, count, round }: Task): Promise<Result> {
  const store = await storeIn(join(base, String(count))).openWriter(systemClock);
  const sink = openSink(node, base);
  const feed = { name: 'All', reference: null, description: null };
  const view = {
    id: '',
    ...collection,
    feed,
    description: null,
    journal: 'pool:main',
    types: null,
    strict: false,
  } as const;
  const parts = { clock: systemClock, store, name: `bench-${round}`, sink, keep: 1, signal };
  const cost = await measure(() => rebuild({ ...parts, collection: { ...view, tlp: 'amber' } }));
  await sink.close();
  await store.close();
  return { ...cost, peak: peakMemory() };
}

async function compare(t: Parameters<typeof startElasticsearch>[0]): Promise<void> {
  const [count = 100_000, rounds = 3] = process.argv.slice(2, 4).map(Number);
  const directory = temporaryDirectory();
  const sizes = [count, count, count >> 2];
  for (const size of sizes.slice(1)) await fillStore(join(directory.path, String(size)), size);
  const node = await startElasticsearch(t, (process.argv[4] ?? '9.5.3') as '9.5.3');
  if (node === null) return;
  console.log(machine());
  const sink = openSink(node.url, directory.path);
  const results = contenders.map((): Result[] => []);
  // The first round warms the node up.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [i, contender] of contenders.entries()) {
      await node.ask('DELETE', `/${index}`);
      for (const step of sink.setup()) await sink.install(step, signal);
      const task: Task = { contender, node: node.url, base: directory.path, count: sizes[i] ?? count, round };
      const result = await inProcess<Result>(import.meta.filename, task, i === 0 ? [] : HEAP);
      const held = (await node.ask('POST', `/${index}/_refresh`)) && (await node.ask('GET', `/${index}/_count`));
      if (held.body.count !== task.count)
        throw new Error(`${contender}: ${held.body.count} of ${task.count} documents`);
      if (round > 0) results[i]?.push(result);
    }
  }
  await sink.close();
  const rates = results.map((list, i) => median(list.map(({ wall }) => (sizes[i] ?? count) / wall)));
  const rows = contenders.map((name, i) => {
    const list = results[i] ?? [];
    const cpu = median(list.map((each) => (1e6 * each.cpu) / (sizes[i] ?? count)));
    const peak = Math.max(...list.map((each) => each.peak));
    const ratio = ((rates[i] ?? 0) / (rates[0] ?? 1)).toFixed(2);
    return [name, Math.round(rates[i] ?? 0), ratio, cpu.toFixed(1), Math.round(peak)];
  });
  printTable([`${count} documents`, 'a second', 'ratio', 'CPU us each', 'peak MB'], rows);
  directory.remove();
}

const task = givenTask<Task>();
if (task === null) {
  const ends: (() => unknown)[] = [];
  try {
    await compare({
      teardown: (end) => void ends.push(end as () => unknown),
      pass: () => true,
    });
  } finally {
    for (const end of ends) await end();
  }
} else {
  process.send?.(await (task.contender === contenders[0] ? pushReady(task) : pushStored(task)));
  process.disconnect?.();
}
