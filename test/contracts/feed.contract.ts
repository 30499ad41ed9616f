import type { Test } from 'tap';
import { BATCH_ROWS, type FeedFormat } from '../../src/feeds/feed.ts';
import { codeOf, type FeedBench, pull } from '../helpers/feed.ts';

/** One upstream that a format reads, as far as the contract plays with it. */
export interface FeedScenario {
  bench: FeedBench;
  /** Makes the upstream hold rows 0 to `count` - 1 and `odd` rows that are no rows at all. */
  serve(count: number, odd?: number): void;
  /** Lets the upstream fail for good inside of the next pull, after at least one row if `serve` gave it many. */
  breakDown(): void;
}

export type OpenScenario = (t: Test) => Promise<FeedScenario>;

/** What every feed format keeps to (src/feeds/feed.ts). */
export function testFeedFormat(t: Test, name: string, format: FeedFormat, open: OpenScenario): void {
  t.test(`${name}: describes itself`, async (t) => {
    t.equal(format.name, name, 'by its name in the registry');
    t.match(format.title, /^.{5,120}$/);
    t.equal(
      (format.options as { additionalProperties?: unknown }).additionalProperties,
      false,
      'unknown keys are refused',
    );
    const { bench } = await open(t);
    const { options } = bench.context();
    const { every, minEvery = 0 } = format.defaults(options);
    t.ok(every > 0 && every >= minEvery);
    t.notMatch(JSON.stringify(format.account(options)), /sk_live/, 'an account prints without its key');
  });

  t.test(`${name}: a whole pull ends with exactly one last batch, and no row is missing`, async (t) => {
    const { bench, serve } = await open(t);
    serve(2500, 3);
    const { batches, items, rejected, error } = await pull(format, bench.context());
    t.equal(error, null);
    t.same(
      batches.flatMap(({ last }, i) => (last ? [i] : [])),
      [batches.length - 1],
    );
    t.equal(new Set(items.map((item) => JSON.stringify(item))).size, 2500, 'every row is an item');
    t.equal(new Set(rejected.map(({ row }) => row)).size, 3, 'or a rejection');
    t.ok(
      rejected.every(({ detail }) => detail.length > 0),
      'with its reason',
    );
  });

  t.test(`${name}: no batch is larger than one transaction takes`, async (t) => {
    const { bench, serve } = await open(t);
    serve(BATCH_ROWS + 500);
    const { batches, items } = await pull(format, bench.context());
    t.ok(batches.every(({ items, rejected }) => items.length + rejected.length <= BATCH_ROWS));
    t.equal(new Set(items.map((item) => JSON.stringify(item))).size, BATCH_ROWS + 500);
  });

  t.test(`${name}: an upstream without rows is a whole pull`, async (t) => {
    const { bench, serve } = await open(t);
    serve(0);
    const { batches, items, error } = await pull(format, bench.context());
    t.equal(error, null);
    t.equal(items.length, 0);
    t.equal(batches.at(-1)?.last, true);
  });

  t.test(`${name}: an interrupted pull fails with an upstream error and has no last batch`, async (t) => {
    const { bench, serve, breakDown } = await open(t);
    serve(2500);
    breakDown();
    const { batches, error } = await pull(format, bench.context());
    t.match(codeOf(error), /^upstream-/);
    t.notOk(batches.some(({ last }) => last));
  });

  t.test(`${name}: goes on from its own cursor`, async (t) => {
    const { bench, serve } = await open(t);
    serve(10);
    const first = await pull(format, bench.context());
    serve(12);
    const second = await pull(format, bench.context({ cursor: first.cursor }));
    t.equal(second.error, null);
    t.equal(second.batches.at(-1)?.last, true);
    const known = new Set(first.items.map((item) => JSON.stringify(item)));
    t.equal(second.items.filter((item) => !known.has(JSON.stringify(item))).length, 2, 'what is new arrives');
  });

  t.test(`${name}: a cursor that can't be read costs time, not rows`, async (t) => {
    const { bench, serve } = await open(t);
    serve(10);
    const { error, items, batches } = await pull(format, bench.context({ cursor: '{"half' }));
    t.equal(error, null);
    t.equal(items.length, 10);
    t.equal(batches.at(-1)?.last, true);
  });

  t.test(`${name}: an abort ends the read with its reason`, async (t) => {
    const { bench, serve } = await open(t);
    serve(BATCH_ROWS * 2);
    const controller = new AbortController();
    const reason = new Error('stopping');
    const context = bench.context({ signal: controller.signal });
    let batches = 0;
    const read = (async () => {
      for await (const batch of format.read(context)) {
        batches += 1;
        t.notOk(batch.last);
        controller.abort(reason);
      }
    })();
    await t.rejects(read, reason);
    t.equal(batches, 1, 'nothing comes after it');
  });
}
