// slow (15 s): 50,000 observations of ten feeds, twice
import t from 'tap';
import type { FeedItem } from '../../src/feeds/feed.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { storeEngines } from '../../src/store/registry.ts';
import { feed, journal, openBench } from '../helpers/journals.ts';
import { overlappingValues } from '../helpers/overlap.ts';

/** Ten feeds that share a part of what they say. bench/merge.ts measures the same with a million. */

const ROWS = 50_000;
const FEEDS = 10;
const BATCH = 2500;
const NOBODY: ReadonlySet<string> = new Set();

const saying = (n: number, changed: number): string[] => [...overlappingValues(ROWS, FEEDS, n, changed)];

function batchesOf(values: readonly string[]): FeedItem[][] {
  const rows = values.map((value): FeedItem => ({ value }));
  return Array.from({ length: Math.ceil(rows.length / BATCH) }, (_, i) => rows.slice(i * BATCH, (i + 1) * BATCH));
}

t.test(
  'each value is one indicator of all that say it, and a re-poll writes what changed and no more',
  { timeout: 600_000 },
  async (t) => {
    const feeds = Array.from({ length: FEEDS }, (_, n) => feed(`feed-${n}`, { confidence: 50 }));
    const definition = journal();
    const { writer, pullAccepted } = await openBench(t, feeds, [definition], undefined, {
      engine: storeEngines.sqlite,
    });
    /** Who says each value, as the lists themselves have it. */
    const sayers = (changed: number): Map<string, Set<string>> => {
      const all = new Map<string, Set<string>>();
      for (let n = 0; n < FEEDS; n += 1) {
        for (const value of saying(n, changed)) all.set(value, (all.get(value) ?? new Set()).add(`feed-${n}`));
      }
      return all;
    };
    const served = async (): Promise<Map<string, Set<string>>> => {
      const all = new Map<string, Set<string>>();
      const live = { journal: definition.name, observableTypes: null, minConfidence: null, maxConfidence: null };
      for (let offset = 0; ; offset += 10_000) {
        const { entries, more } = await writer.live({ ...live, since: null, before: null, offset, limit: 10_000 });
        for (const { value, sources } of entries) {
          const claims = JSON.parse(sources) as { feed: string }[];
          all.set(value, new Set(claims.map((claim) => claim.feed)));
        }
        if (!more) return all;
      }
    };
    const poll = async (changed: number) => {
      const sums = { entries: 0, withdrawn: 0 };
      for (const [n, definition] of feeds.entries()) {
        const { outcome, entries, withdrawn, error } = await pullAccepted(definition, ...batchesOf(saying(n, changed)));
        t.equal(outcome, 'whole', error?.message ?? definition.name);
        sums.entries += entries;
        sums.withdrawn += withdrawn;
      }
      return sums;
    };

    await poll(0);
    const first = sayers(0);
    const several = [...first.values()].filter(({ size }) => size > 1).length;
    t.ok(several > ROWS / 20, `${several} values are said by several`);
    t.strictSame(await served(), first);

    const again = await poll(0.01);
    const second = sayers(0.01);
    t.strictSame(await served(), second);
    // A value that one feed drops or adds is a change each time.
    let steps = 0;
    for (const value of new Set([...first.keys(), ...second.keys()])) {
      const [before, after] = [first.get(value) ?? NOBODY, second.get(value) ?? NOBODY];
      steps +=
        [...before].filter((one) => !after.has(one)).length + [...after].filter((one) => !before.has(one)).length;
    }
    t.ok(again.entries <= steps, `${again.entries} entries for ${steps} changes`);
    const gone = [...first.keys()].filter((value) => !second.has(value)).length;
    t.ok(again.withdrawn >= gone && again.withdrawn <= steps, `${again.withdrawn} withdrawn, ${gone} for good`);
    t.equal((await poll(0.01)).entries, 0, 'what did not change writes nothing');
    const sure = new Map<number, number>();
    const query = {
      journal: definition.name,
      observableTypes: null,
      minConfidence: 55,
      maxConfidence: null,
      since: null,
      before: null,
    };
    const { entries } = await writer.live({ ...query, offset: 0, limit: 10_000 });
    for (const entry of entries as IndicatorEntry[]) {
      const publishers = second.get(entry.value)?.size ?? 0;
      t.equal(entry.confidence, 50 + 5 * (publishers - 1));
      sure.set(publishers, (sure.get(publishers) ?? 0) + 1);
    }
    t.ok((sure.get(3) ?? 0) > 0, 'some are said by three');
  },
);
