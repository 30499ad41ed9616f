import fc from 'fast-check';
import t from 'tap';
import type { FeedItem } from '../../src/feeds/feed.ts';
import { type FeedFilter, passesFilter } from '../../src/model/feed-filter.ts';
import { unaccountedOf } from '../../src/status/feeds.ts';
import { stixIndicator } from '../helpers/indicator.ts';
import { type Bench, feed, journal, openBench } from '../helpers/journals.ts';
import { observation } from '../helpers/store.ts';

const live = async (bench: Bench): Promise<string[]> =>
  (await bench.indicators()).live.map(({ value }) => value).sort();
const account = async (bench: Bench) => {
  const state = await bench.writer.feedState('one');
  const { counts } = await bench.writer.rejections('one', 0);
  const { read, split, folded, filtered, gone, observations, objects } = state;
  return { read, split, held: observations + objects, folded, filtered, gone, lost: unaccountedOf(state, counts) };
};
const row = (value: string, more: object = {}): FeedItem => ({ value, ...more });
const four = [
  row('198.51.100.1', { labels: ['Botnet'], confidence: 80 }),
  row('a.example.net', { labels: ['phishing'], confidence: 20 }),
  row('b.example.org', { labels: ['botnet', 'spam'] }),
  row('not a value at all'),
];

t.test('each key leaves out what it says, before the store; the account stands', async (t) => {
  for (const [filter, kept] of [
    [{ types: ['ipv4'] }, ['198.51.100.1']],
    [{ labels: ['BOTNET'] }, ['198.51.100.1', 'b.example.org']],
    [{ not_labels: ['Spam', 'phishing'] }, ['198.51.100.1']],
    [{ labels: ['botnet'], not_labels: ['spam'] }, ['198.51.100.1']],
    [{ min_confidence: 20 }, ['198.51.100.1', 'a.example.net']],
    [{ min_confidence: 21 }, ['198.51.100.1']],
    [{ values: ['\\.example\\.(net|com)$'] }, ['a.example.net']],
    [{ values: ['^198\\.', 'ORG', '(?i)ORG$'] }, ['198.51.100.1', 'b.example.org']],
    [{ not_values: ['example'] }, ['198.51.100.1']],
    [{}, ['198.51.100.1', 'a.example.net', 'b.example.org']],
  ] as [FeedFilter, string[]][]) {
    const one = feed('one', { filter });
    const bench = await openBench(t, [one], [journal()]);
    t.match(await bench.pull(one, four), { outcome: 'whole', accepted: 3, rejected: 1 });
    t.strictSame(await live(bench), kept, JSON.stringify(filter));
    const filtered = 3 - kept.length;
    const expected = { read: 4, split: 0, held: kept.length, folded: 0, filtered, gone: 0, lost: 0 };
    t.strictSame(await account(bench), expected);
    t.equal((await bench.writer.rejections('one', 10)).rows.length, 1, 'what is filtered is no rejection');
  }
  const sure = feed('one', { confidence: 50, filter: { min_confidence: 50 } });
  const bench = await openBench(t, [sure], [journal()]);
  await bench.pull(sure, four);
  t.strictSame(await live(bench), ['198.51.100.1', 'b.example.org'], "the feed's confidence, where the row has none");
});

t.test('what passed before leaves a snapshot with its next whole pull, and stays in a delta', async (t) => {
  const all = feed('one');
  const bench = await openBench(t, [all], [journal()]);
  await bench.pull(all, four);
  const some = feed('one', { filter: { types: ['ipv4'] } });
  t.match(await bench.pull(some, four), { outcome: 'whole', withdrawn: 2 });
  t.strictSame(await live(bench), ['198.51.100.1']);
  t.strictSame((await account(bench)).lost, 0);
  t.match(await bench.pull(some, four), { entries: 0 });
  t.match(await bench.pull(all, four), { entries: 2 });

  const news = feed('one', { mode: 'delta', filter: { min_confidence: 50 } });
  const delta = await openBench(t, [news], [journal()]);
  await delta.pull(news, [row('198.51.100.1', { confidence: 80 })]);
  await delta.pull(news, [row('198.51.100.1', { confidence: 20 }), row('198.51.100.2', { confidence: 20 })]);
  t.strictSame(await live(delta), ['198.51.100.1']);
  t.match(await account(delta), { read: 3, held: 1, filtered: 2, lost: 0 });
  await delta.pull(news, [row('198.51.100.1', { confidence: 20, revoked: true })]);
  t.strictSame(await live(delta), [], 'what the feed takes back ends, whatever the filter');
});

t.test('an empty list is one in which the feed sent nothing, not one that is filtered', async (t) => {
  const one = feed('one', { emptyAllowed: false, filter: { types: ['url'] } });
  const bench = await openBench(t, [one], [journal()]);
  t.match(await bench.pull(one, four), { outcome: 'whole', entries: 0 });
});

t.test('STIX is filtered by its observations; what passes verbatim is not filtered', async (t) => {
  const two = "[ipv4-addr:value = '198.51.100.1'] OR [domain-name:value = 'a.example.net']";
  const indicator = stixIndicator(1, two, { labels: ['botnet'] });
  const malware = {
    ...{ type: 'malware', spec_version: '2.1', id: 'malware--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061', is_family: false },
    ...{ created: '2025-01-01T00:00:00.000Z', modified: '2025-01-01T00:00:00.000Z', name: 'm' },
  };
  for (const mode of ['snapshot', 'delta'] as const) {
    const one = feed('one', { mode, filter: { types: ['ipv4'], labels: ['botnet'] } });
    const bench = await openBench(t, [one], [journal()]);
    await bench.pull(one, [{ stix: indicator }, { stix: malware }]);
    t.strictSame(await live(bench), ['198.51.100.1']);
    t.strictSame(await account(bench), { read: 2, split: 1, held: 2, folded: 0, filtered: 1, gone: 0, lost: 0 });
    const newer = { ...indicator, modified: '2099-01-01T00:00:00.000Z', labels: ['clean'] };
    await bench.pull(one, [{ stix: newer }, { stix: malware }]);
    t.strictSame(await live(bench), [], `${mode}: a newer version that is left out takes back what the older one said`);
    t.equal((await account(bench)).lost, 0);
  }
});

t.test('a filter keeps exactly what all of its keys allow', (t) => {
  const words = fc.constantFrom('a', 'b', 'C');
  const some = fc.option(fc.uniqueArray(words, { minLength: 1 }), { nil: undefined });
  const types = fc.constantFrom('ipv4' as const, 'domain' as const);
  const filters = fc.record({
    types: fc.option(fc.uniqueArray(types, { minLength: 1 }), { nil: undefined }),
    ...{ labels: some, not_labels: some, values: some, not_values: some },
    min_confidence: fc.option(fc.nat(100), { nil: undefined }),
  });
  const rows = fc.record({
    type: types,
    value: fc.string({ unit: words, minLength: 1, maxLength: 3 }),
    labels: fc.uniqueArray(words),
    confidence: fc.option(fc.nat(100)),
    revoked: fc.boolean(),
  });
  const property = fc.property(filters, rows, fc.option(fc.nat(100)), (given, said, ofFeed) => {
    const { type, value, labels, confidence, revoked } = said;
    const filter = Object.fromEntries(Object.entries(given).filter(([, each]) => each !== undefined)) as FeedFilter;
    const one = observation({ observable: { type, value }, labels, confidence, revoked });
    const expected =
      revoked ||
      [
        given.types?.includes(type) ?? true,
        given.labels?.some((label) => labels.includes(label)) ?? true,
        !given.not_labels?.some((label) => labels.includes(label)),
        given.values?.some((part) => value.includes(part)) ?? true,
        !given.not_values?.some((part) => value.includes(part)),
        (confidence ?? ofFeed ?? 0) >= (given.min_confidence ?? 0),
      ].every(Boolean);
    return passesFilter(filter, one, ofFeed) === expected;
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 3000 }));
  t.end();
});
