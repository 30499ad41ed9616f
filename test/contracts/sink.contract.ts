import type { Test } from 'tap';
import { systemClock } from '../../src/model/clock.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import type { Sink, SinkKind } from '../../src/sinks/sink.ts';
import { indicatorEntry, START } from '../helpers/store.ts';

export interface SinkScenario {
  options: unknown;
  /** What the target holds of the collection: a text per version. */
  held(): Promise<string[]>;
  /** From here on nothing can be written. */
  breakDown(): Promise<void>;
}

const never = new AbortController().signal;
export const collection = {
  alias: 'all',
  title: 'All',
  tlp: 'amber' as const,
  feed: { name: 'All', reference: null, description: null },
};

export function openSink(kind: SinkKind, options: unknown, base: string): Sink {
  const identityId = 'identity--6f1c1b7e-52c4-4b5a-9d3b-0c7f4f2f9f11';
  return kind.open({
    name: 'siem',
    options,
    base,
    identityId,
    producer: async () => [],
    clock: systemClock,
    userAgent: 'Sluice/test',
  });
}

export const entryOf = (n: number, more: Partial<IndicatorEntry> = {}): IndicatorEntry =>
  indicatorEntry({ value: `host-${n}.example`, dateAdded: START + n * 1000, ...more });

/** What every kind of sink keeps to (src/sinks/sink.ts). */
export function testSinkKind(t: Test, name: string, kind: SinkKind, open: (t: Test) => Promise<SinkScenario>): void {
  t.test(`${name}: describes itself`, async (t) => {
    t.equal(kind.name, name, 'by its name in the registry');
    t.match(kind.title, /^.{5,120}$/);
    t.equal(
      (kind.options as { additionalProperties?: unknown }).additionalProperties,
      false,
      'unknown keys are refused',
    );
    const { options } = await open(t);
    t.doesNotThrow(() => kind.check(options));
    const sink = openSink(kind, options, t.testdir());
    t.ok(sink.targetId.length > 0, 'it says where it is');
    for (const step of sink.setup()) t.match(step, { name: String, method: /^(PUT|POST)$/, path: /^\//, body: Object });
    await sink.close();
  });

  t.test(`${name}: what is pushed stands there, each entry has one fate, and a repeat loses nothing`, async (t) => {
    const { options, held } = await open(t);
    const sink = openSink(kind, options, t.testdir());
    const entries = Array.from({ length: 2500 }, (_, n) => entryOf(n));
    for (const time of ['first', 'second']) {
      const report = await sink.push(collection, entries, never);
      t.equal(report.written + report.unchanged + report.refused.length + report.later.length, 2500, time);
      t.same(report.refused, []);
    }
    await sink.close();
    t.equal(new Set(await held()).size, 2500);
  });

  t.test(`${name}: nothing to push is no request and no failure`, async (t) => {
    const { options } = await open(t);
    const sink = openSink(kind, options, t.testdir());
    t.same(await sink.push(collection, [], never), { written: 0, unchanged: 0, refused: [], later: [] });
    await sink.close();
  });

  t.test(`${name}: a target that is away is told as such, in words without secrets`, async (t) => {
    const { options, breakDown } = await open(t);
    const sink = openSink(kind, options, t.testdir());
    await breakDown();
    const error: any = await sink.push(collection, [entryOf(1)], never).catch((thrown: unknown) => thrown);
    t.equal(error.code, 'sink-unavailable');
    t.notMatch(`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`, /canary/);
    await sink.close();
  });

  t.test(`${name}: an aborted push ends`, async (t) => {
    const { options } = await open(t);
    const sink = openSink(kind, options, t.testdir());
    const stopped = AbortSignal.abort(new Error('stopped'));
    await t.rejects(sink.push(collection, [entryOf(1)], stopped));
    await sink.close();
  });
}
