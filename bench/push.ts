import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@elastic/elasticsearch';
import t from 'tap';
import { ecsContext } from '../src/ecs/data-stream.ts';
import { ecsDocument } from '../src/ecs/document.ts';
import { systemClock } from '../src/model/clock.ts';
import type { IndicatorEntry } from '../src/model/entry.ts';
import { jsonText } from '../src/model/json.ts';
import { rebuild } from '../src/pipeline/deliver.ts';
import { sinkKinds } from '../src/sinks/registry.ts';
import { storeEngines } from '../src/store/registry.ts';
import { startElasticsearch } from '../test/helpers/elasticsearch.ts';
import { indicatorEntry, START, uuidOf } from '../test/helpers/store.ts';

/**
 * Documents a second into a real node: the whole way from the store (`rebuild`: pages, ECS, bulk, sweep, checkpoint) beside
 * `client.helpers.bulk` with documents that are there already. `node bench/push.ts [COUNT] [ROUNDS] [VERSION]`. Both take turns on
 * one node, each round on a fresh index; what counts is the ratio.
 */
const COUNT = Number(process.argv[2] ?? 50_000);
const ROUNDS = Number(process.argv[3] ?? 4);
const VERSION = (process.argv[4] ?? '9.5.3') as '9.5.3';
const FLUSH = 5_000_000;
const collection = { alias: 'all', title: 'All indicators' };
t.setTimeout(1_800_000);

const entries: IndicatorEntry[] = Array.from({ length: COUNT }, (_, n) =>
  indicatorEntry({
    type: 'url',
    value: `http://host-${n}.evil.example.com/a/b${n}/run.exe?id=${n}`,
    objectId: `indicator--${uuidOf(String(n))}`,
    description: 'Reported by the feed',
    labels: jsonText(['malware', `family-${n % 50}`]),
    references: jsonText([{ source_name: 'URLhaus', url: `https://urlhaus.example/url/${n}/` }]),
  }),
);

const location = mkdtempSync(join(tmpdir(), 'sluice-push-'));
const writer = await storeEngines.sqlite.openWriter(location, systemClock);
t.teardown(async () => {
  await writer.close();
  rmSync(location, { recursive: true });
});
await writer.transaction(async (tx) => {
  await tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions: 'last' });
  const dates = await tx.stamp('pool:main', COUNT);
  const dated = entries.map((entry, i) => ({ entry: { ...entry, dateAdded: dates[i] ?? START }, replaces: null }));
  await tx.append('pool:main', dated);
});
const context = ecsContext({ target: 'latest', collection });
const ready = entries.map((entry) => ecsDocument(entry, context));

const node = await startElasticsearch(t, VERSION);
if (node !== null) {
  const client = new Client({ node: node.url });
  const options = {
    ...{ node: node.url, target: 'latest', stream: 'indicator', namespace: 'default', timeout: 60_000 },
    ...{ ioc_expiration_duration: 7_776_000_000, flush_bytes: FLUSH, concurrency: 5 },
  };
  const base = { name: 'bench', base: location, identityId: '', clock: systemClock, userAgent: 'Sluice/bench' };
  const sink = sinkKinds.elasticsearch.open({ ...base, options: options as never });
  const signal = new AbortController().signal;
  const index = 'logs-ti_sluice_latest.indicator-1';
  const fresh = async (): Promise<void> => {
    await node.ask('DELETE', `/${index}`);
    for (const step of sink.setup()) await sink.install(step, signal);
  };
  const contenders: Record<string, () => Promise<unknown>> = {
    'helpers.bulk, ready documents': () =>
      client.helpers.bulk({
        datasource: ready,
        flushBytes: FLUSH,
        concurrency: 5,
        onDocument: ({ event }) => ({ index: { _index: index, _id: (event as any).id } }),
      }),
    'Sluice, from the store': () =>
      rebuild({
        ...{ clock: systemClock, store: writer, name: 'bench', sink, keep: 1, signal },
        collection: {
          ...{ id: '', ...collection, description: null, journal: 'pool:main', types: null },
          ...{ tlp: 'amber', strict: false },
        },
      }),
  };
  const rates: Record<string, number[]> = {};
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, run] of Object.entries(contenders)) {
      await fresh();
      const started = systemClock.now();
      const cpu = process.cpuUsage();
      await run();
      const seconds = (systemClock.now() - started) / 1e6;
      const { user, system } = process.cpuUsage(cpu);
      const rss = Math.round(process.memoryUsage().rss / 1e6);
      // The first round warms the node up.
      if (round > 0) rates[name] = [...(rates[name] ?? []), COUNT / seconds];
      const cost = ((user + system) / 1e6).toFixed(1);
      console.log(`${name}: ${Math.round(COUNT / seconds)}/s, ${cost} s CPU here, RSS ${rss} MB`);
    }
  }
  const middle = (list: number[] = []): number => list.toSorted((a, b) => a - b)[list.length >> 1] ?? 0;
  const [theirs, ours] = Object.keys(contenders).map((name) => middle(rates[name]));
  console.log(`ratio of the medians: ${((ours ?? 0) / (theirs ?? 1)).toFixed(2)}`);
  await sink.close();
  await client.close();
}
