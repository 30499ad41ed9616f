import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ConfiguredFeed } from '../src/feeds/feed.ts';
import { BATCH_ROWS, type FeedBatch, type FeedFormat } from '../src/feeds/feed.ts';
import { readRows } from '../src/feeds/socdefenders/page.ts';
import { stix } from '../src/feeds/stix.ts';
import { poll } from '../src/ingest/poll.ts';
import { systemClock } from '../src/model/clock.ts';
import type { PollReport } from '../src/model/control.ts';
import type { FeedDefinition, Profile } from '../src/model/definition.ts';
import { Journals } from '../src/publish/journals.ts';
import { reconcile } from '../src/publish/reconcile.ts';
import { producingIdentity } from '../src/stix/identity.ts';
import { markingsUpTo } from '../src/stix/marking.ts';
import type { Writer } from '../src/store/store.ts';
import { createFiles } from '../src/upstream/files.ts';
import { feed, journal } from '../test/helpers/journals.ts';
import { storeIn } from '../test/helpers/store.ts';

export const JOURNAL = 'pool:main';

/** What a poll reads: an upstream's answers (rows.ts `writeAnswers`) or a bundle. */
export type Input = { kind: 'rows'; file: string; ends: number[] } | { kind: 'stix'; file: string };

export interface BenchGateway {
  writer: Writer;
  /** One poll of the input through the whole path. Throws when it wasn't whole. */
  poll(input: Input): Promise<PollReport>;
  close(): Promise<void>;
}

/** The writing side as `serve` has it, with one pool and its journal, on a store in `location`. */
export async function openBench(location: string, profile: Profile): Promise<BenchGateway> {
  mkdirSync(location, { recursive: true });
  const clock = systemClock;
  const writer = await storeIn(location).openWriter(clock);
  const namespace = await writer.namespace();
  const signal = new AbortController().signal;
  const feeds = { rows: feedOf('rows'), stix: feedOf('stix') };
  const definition = journal({}, { profile });
  const journals = new Journals({
    clock,
    writer,
    namespace,
    feeds: Object.values(feeds),
    pools: [{ name: 'main', feeds: Object.keys(feeds) }],
    journals: [definition],
    collections: [],
    idle: new Set(),
    producerObjectsOf: () => [
      producingIdentity(namespace, { name: 'Bench', description: null, contact: null }, clock.now()),
      ...markingsUpTo('amber'),
    ],
  });
  await reconcile(journals, signal);
  return {
    writer,
    async poll(input) {
      const configured: ConfiguredFeed = {
        definition: feeds[input.kind],
        format: input.kind === 'rows' ? answers : stix,
        options: input.kind === 'rows' ? input : { path: input.file },
        upstream: { internal: false, proxy: 'off', refreshOnRead: false },
      };
      // Without what the last pull left, so that an unchanged file is read again: that is what is measured.
      const files = createFiles('.', null);
      const upstream = {
        fetch: async () => Promise.reject(new Error('a benchmark uses no network')),
        files: files.files,
        contributed: async () => null,
        bytes: () => 0,
        requests: () => 0,
        secrets: () => [],
        isUnchanged: () => false,
        committed: () => undefined,
        freshUntil: () => null,
        validators: () => ({ etag: null, lastModified: null, bodyHash: null }),
      };
      const parts = { clock, writer, journals, signal, report: console.error, openUpstream: async () => upstream };
      const report = await poll(configured, parts);
      if (report.outcome !== 'whole') throw new Error(`the poll was ${report.outcome}: ${report.error?.message}`);
      return report;
    },
    close: () => writer.close(),
  };
}

function feedOf(name: string): FeedDefinition {
  return feed(name, { format: name, confidence: 50, lifetime: { default: 365 * 86_400_000 }, outageLimit: 0 });
}

/** SOC Defenders' answers as its format reads them, without its pace and its walk: in batches as large as the writer takes. */
const answers: FeedFormat<{ file: string; ends: number[] }> = {
  name: 'rows',
  title: 'answers in a file',
  options: {},
  defaults: () => ({ title: 'Bench', mode: 'snapshot', every: 60_000, emptyAllowed: true }),
  account: () => null,
  async *read({ options: { file, ends } }) {
    const descriptor = await open(file);
    let batch: FeedBatch = { items: [], rejected: [], cursor: null, last: false };
    let start = 0;
    for (const end of ends) {
      const { buffer } = await descriptor.read(Buffer.allocUnsafe(end - start), 0, end - start, start);
      start = end;
      const { items, rejected } = readRows((JSON.parse(buffer.toString()) as { data: unknown[] }).data);
      batch.items.push(...items);
      batch.rejected.push(...rejected);
      if (batch.items.length < BATCH_ROWS) continue;
      yield batch;
      batch = { ...batch, items: [], rejected: [] };
    }
    await descriptor.close();
    yield { ...batch, last: true };
  },
};
