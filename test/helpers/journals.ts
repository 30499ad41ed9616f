import type { Test } from 'tap';
import Type from 'typebox';
import type { ConfiguredFeed, FeedBatch, FeedFormat, FeedItem } from '../../src/feeds/feed.ts';
import { type PollParts, poll } from '../../src/ingest/poll.ts';
import type { Micros } from '../../src/model/clock.ts';
import type { PollReport } from '../../src/model/control.ts';
import {
  defaultReach,
  type FeedDefinition,
  type JournalDefinition,
  type JournalPolicy,
} from '../../src/model/definition.ts';
import type { Entry, IndicatorEntry } from '../../src/model/entry.ts';
import { GatewayError } from '../../src/model/error.ts';
import { Journals, type JournalsParts } from '../../src/publish/journals.ts';
import { reconcile } from '../../src/publish/reconcile.ts';
import { Ticks } from '../../src/publish/tick.ts';
import type { StoreEngine } from '../../src/store/engine.ts';
import { storeEngines } from '../../src/store/registry.ts';
import type { Writer } from '../../src/store/store.ts';
import { type ScriptedClock, scriptedClock } from './clock.ts';
import { newLocation, START, storeIn, uuidOf } from './store.ts';

export const never = new AbortController().signal;

/** What the next pull of a feed brings, batch by batch. */
export type Script = FeedItem[][];

export interface Bench {
  clock: ScriptedClock;
  writer: Writer;
  journals: Journals;
  /** Turns what time has done into entries. */
  tick(): Promise<void>;
  /** Polls a feed that brings these batches, the last of which says that it was the whole; `cut`: none says so. */
  pullCut(feed: FeedDefinition, ...batches: Script): Promise<PollReport>;
  pull(feed: FeedDefinition, ...batches: Script): Promise<PollReport>;
  /** The same, and a snapshot is taken whatever its size. */
  pullAccepted(feed: FeedDefinition, ...batches: Script): Promise<PollReport>;
  /** A poll that the upstream answers with 304, and one that it doesn't answer. */
  pullUnchanged(feed: FeedDefinition): Promise<PollReport>;
  fail(feed: FeedDefinition): Promise<PollReport>;
  /** All that stand, up to 10,000, ascending; `after`: strictly behind it. */
  entries(journal?: string, after?: Micros): Promise<Entry[]>;
  /** Live indicators, then tombstones. */
  indicators(journal?: string): Promise<{ live: IndicatorEntry[]; dead: IndicatorEntry[] }>;
}

export const feed = (name: string, more: Partial<FeedDefinition> = {}): FeedDefinition => ({
  name,
  format: 'scripted',
  mode: 'snapshot',
  title: `Feed ${name}`,
  aliases: [],
  every: 60_000,
  confidence: null,
  tlp: 'green',
  lifetime: {},
  outageLimit: 30 * 86_400_000,
  shrinkGuard: null,
  emptyAllowed: true,
  reach: defaultReach,
  ...more,
});

export const journal = (
  policy: Partial<JournalPolicy> = {},
  more: Partial<JournalDefinition> = {},
): JournalDefinition => ({
  name: 'pool:main',
  pool: 'main',
  profile: 'stix',
  policy: {
    tlp: 'amber',
    minConfidence: 0,
    minSources: 1,
    types: null,
    tlpVersion: 2,
    objects: 'indicators',
    expandCidr: null,
    ...policy,
  },
  keep: 30 * 86_400_000,
  keepVersions: 'last',
  ...more,
});

/** Journals of one pool on a store of their own; with `from`, on the store of an earlier one, as after a new start. */
export async function openBench(
  t: Test,
  feeds: FeedDefinition[],
  definitions: JournalDefinition[],
  from?: Pick<Bench, 'clock' | 'writer'>,
  {
    engine = storeEngines.memory,
    ...more
  }: { engine?: StoreEngine } & Partial<
    Pick<JournalsParts, 'collections' | 'pools' | 'producerObjectsOf' | 'idle' | 'suppressors'>
  > = {},
): Promise<Bench> {
  const clock = from?.clock ?? scriptedClock(START, { auto: true });
  let writer = from?.writer;
  if (writer === undefined) {
    const opened = await storeIn(newLocation(t), engine).openWriter(clock);
    t.teardown(() => opened.close());
    writer = opened;
  }
  const journals = new Journals({
    clock,
    writer,
    feeds,
    idle: new Set(),
    pools: [{ name: 'main', feeds: feeds.map(({ name }) => name) }],
    journals: definitions,
    collections: [],
    namespace: uuidOf('namespace'),
    producerObjectsOf: () => [],
    ...more,
  });
  await reconcile(journals, never);
  const ticks = new Ticks(journals);
  const own = writer;
  const entries = async (name = 'pool:main', after: Micros = 0): Promise<Entry[]> => {
    const versions = { last: true, first: false, all: false, exact: [] };
    const filter = { journal: name, observableTypes: null, stixTypes: null, objectIds: null, versions };
    return (await own.page({ ...filter, after, limit: 10_000 })).entries;
  };
  const pull = (
    definition: FeedDefinition,
    batches: Script,
    isWhole: boolean,
    { isUnchanged = false, isAway = false, acceptShrink = false } = {},
  ): Promise<PollReport> => {
    const script: FeedBatch[] = batches.map((items, i) => {
      return { items, rejected: [], cursor: null, last: isWhole && i === batches.length - 1 };
    });
    const format: FeedFormat = {
      name: 'scripted',
      title: 'Scripted rows',
      options: Type.Object({}),
      defaults: () => ({ title: '', mode: 'snapshot', every: 60_000, emptyAllowed: true }),
      account: () => null,
      async *read() {
        if (isAway) throw new GatewayError('upstream-failed', 'Away.');
        yield* script;
      },
    };
    const configured: ConfiguredFeed = {
      definition,
      format,
      options: {},
      upstream: { internal: false, proxy: 'off', refreshOnRead: true },
    };
    const parts: PollParts = {
      clock,
      writer: own,
      journals,
      signal: never,
      report: (error) => void t.error(error as Error),
      openUpstream: async () => ({
        fetch: () => Promise.reject(new Error('no network here')),
        files: () => Promise.reject(new Error('no disk here')),
        contributed: () => Promise.reject(new Error('no collections here')),
        requests: () => 0,
        secrets: () => [],
        bytes: () => 0,
        isUnchanged: () => isUnchanged,
        committed: () => undefined,
        freshUntil: () => null,
        validators: () => ({ etag: null, lastModified: null, bodyHash: null }),
      }),
    };
    return poll(configured, parts, { acceptShrink });
  };
  return {
    clock,
    writer,
    journals,
    tick: async () => void (await ticks.tick(never)),
    entries,
    pull: (definition, ...batches) => pull(definition, batches, true),
    pullAccepted: (definition, ...batches) => pull(definition, batches, true, { acceptShrink: true }),
    pullUnchanged: (definition) => pull(definition, [], false, { isUnchanged: true }),
    fail: (definition) => pull(definition, [], false, { isAway: true }),
    pullCut: (definition, ...batches) => pull(definition, batches, false),
    async indicators(name) {
      const all = (await entries(name)).filter((entry) => entry.kind === 'indicator');
      return { live: all.filter(({ revoked }) => !revoked), dead: all.filter(({ revoked }) => revoked) };
    },
  };
}
