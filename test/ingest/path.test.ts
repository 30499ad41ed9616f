import { readFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { FeedItem } from '../../src/feeds/feed.ts';
import { feed, journal, openBench } from '../helpers/journals.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The files that a batch of plain rows passes on its way from the poll to the store, in the order in which to read them. Each calls
 * those behind it, and none before it.
 */
const path = [
  'src/ingest/poll.ts',
  'src/ingest/batch.ts',
  'src/ingest/save.ts',
  'src/ingest/combine.ts',
  'src/publish/journals.ts',
  'src/publish/publish.ts',
  'src/publish/indicators.ts',
  'src/publish/merge.ts',
  'src/publish/membership.ts',
  'src/publish/issue.ts',
  'src/publish/lifetime.ts',
  'src/publish/changes.ts',
];

/** Rows that say when they are read. */
function watched(from: number, onRead: () => void): FeedItem[] {
  const rows = Array.from({ length: 300 }, (_, i) => ({ value: `host-${from + i}.example.net`, type: 'domain' }));
  const read = rows[Symbol.iterator].bind(rows);
  rows[Symbol.iterator] = () => {
    onRead();
    return read();
  };
  return rows;
}

t.test('a batch of rows passes few files on its way to the store, each once in the order of reading', async (t) => {
  const house = feed('house');
  const bench = await openBench(t, [house], [journal()]);
  const session = new Session();
  session.connect();
  t.teardown(() => session.disconnect());
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  /** Files in which a function was called since it was last asked. */
  const takeCalled = (): string[] => {
    let scripts: Profiler.ScriptCoverage[] = [];
    session.post('Profiler.takePreciseCoverage', (_, { result }) => {
      scripts = result;
    });
    return scripts
      .filter(({ functions }) => functions.some(({ ranges: [range] }) => (range?.startOffset ?? 0) > 0 && range?.count))
      .map(({ url }) => url.replace('file://', '').replace(project, ''))
      .filter((file) => /^src\/(ingest|publish)\//.test(file));
  };
  let called: string[] = [];
  const report = await bench.pull(
    house,
    watched(0, () => undefined),
    watched(300, takeCalled),
    watched(600, () => {
      called = takeCalled();
    }),
  );
  t.match(report, { outcome: 'whole', accepted: 900, entries: 900 });
  t.strictSame(called.sort(), [...path].sort());
  t.ok(path.length <= 12);

  for (const [i, file] of path.entries()) {
    const source = readFileSync(`${project}${file}`, 'utf8');
    // Types are no calls.
    const imports = [...source.matchAll(/^import (?!type )[^;]* from '([^']+)';/gm)].map(([, name = '']) =>
      new URL(name, `file:///${file}`).pathname.slice(1),
    );
    for (const earlier of path.slice(0, i)) t.notOk(imports.includes(earlier), `${file} calls nothing in ${earlier}`);
  }
});
