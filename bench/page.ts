import { join } from 'node:path';
import type { Entry } from '../src/model/entry.ts';
import type { ObservableType } from '../src/model/observable.ts';
import { identityId } from '../src/stix/id.ts';
import { ListWriter } from '../src/stix/list-writer.ts';
import type { LiveQuery, PageQuery, Reader } from '../src/store/store.ts';
import { storeIn } from '../test/helpers/store.ts';
import { JOURNAL, openBench } from './gateway.ts';
import { lowerQuartile, machine, printTable, temporaryDirectory } from './measure.ts';
import { writeAnswers } from './rows.ts';

/**
 * What a page costs the serving thread: read from a reader and rendered to bytes as routes/taxii/objects.ts does it, without
 * HTTP. Kinds of pages alternate, round by round. Reading and rendering never wait, and the processor's own account of a thread
 * is too coarse for one page: so it is the lower quartile of the time on the clock, which others on the machine can only add to.
 */
const PAGE = 1000;

interface Kind {
  name: string;
  /** At most so many times the first page. */
  target: number | null;
  read(reader: Reader, visit: (entry: Entry) => void): Promise<unknown>;
}

const [objects = 10_000, rounds = 100] = process.argv.slice(2).map(Number);
const { path } = temporaryDirectory();
await fill(path, objects);
console.log(`${machine()}\n${objects} objects, ${rounds} rounds, pages of ${PAGE}\n`);
await compare(path);

async function fill(location: string, rows: number): Promise<void> {
  const file = join(location, 'answers');
  const bench = await openBench(location, 'elastic-agent');
  await bench.poll({ kind: 'rows', file, ends: writeAnswers(file, rows) });
  await bench.close();
}

async function compare(location: string): Promise<void> {
  const warm = await storeIn(location).openReader();
  const context = { identityId: identityId(await warm.namespace()) };
  const kinds = await kindsOf(warm);
  const costs = new Map<string, number[]>(kinds.map(({ name }) => [name, []]));
  const sizes = new Map<string, number>();
  const cost = async ({ name, read }: Kind, reader: Reader): Promise<number> => {
    let objects = 0;
    const started = performance.now();
    const list = new ListWriter(context);
    await read(reader, (entry) => {
      objects += 1;
      list.add(entry);
    });
    list.take('{"more":true,"objects":[', ']}');
    const took = performance.now() - started;
    sizes.set(name, objects);
    return took;
  };
  // The first rounds only warm up the compiler.
  for (let round = -20; round < rounds; round += 1) {
    for (const kind of kinds) {
      const took = await cost(kind, warm);
      if (round >= 0) costs.get(kind.name)?.push(took);
    }
  }
  const first = kinds[0] as Kind;
  const cold: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const reader = await storeIn(location).openReader();
    await reader.journals();
    cold.push(await cost(first, reader));
    await reader.close();
  }
  await warm.close();
  const base = lowerQuartile(costs.get(first.name) ?? []);
  const line = (name: string, took: number[], target: string, size: number) => {
    const ms = lowerQuartile(took);
    return [name, size, ms.toFixed(2), (ms / base).toFixed(2), target];
  };
  printTable(
    ['page', 'objects', 'ms', 'ratio to first', 'target'],
    [
      ...kinds.map(({ name, target }) =>
        line(name, costs.get(name) ?? [], target === null ? '' : `<= ${target}`, sizes.get(name) ?? 0),
      ),
      line('first, on a new connection', cold, '', sizes.get(first.name) ?? 0),
    ],
  );
}

async function kindsOf(reader: Reader): Promise<Kind[]> {
  const dates = await datesOf(reader);
  /** Another one each time, but for the untyped never so late that a whole page is not left. */
  const late = (): number => dates[Math.floor((dates.length - 1) * (0.5 + Math.random() / 2))] ?? 0;
  const middle = (): number => dates[Math.floor(dates.length * (0.4 + Math.random() / 10))] ?? 0;
  const page = (after: () => number, types: readonly ObservableType[] | null): Kind['read'] => {
    return (from, visit) => {
      const query: PageQuery = {
        journal: JOURNAL,
        observableTypes: types,
        stixTypes: null,
        objectIds: null,
        versions: { last: true, first: false, all: false, exact: [] },
        after: after(),
        limit: PAGE,
      };
      return from.visitPage(query, visit);
    };
  };
  const live = (types: readonly ObservableType[], minConfidence: number): Kind['read'] => {
    return async (from, visit) => {
      const query: LiveQuery = {
        journal: JOURNAL,
        observableTypes: types,
        minConfidence,
        maxConfidence: null,
        since: null,
        before: null,
        offset: 0,
        limit: PAGE,
      };
      for (const entry of (await from.live(query)).entries) visit(entry);
    };
  };
  const start = () => 0;
  return [
    { name: 'first', target: null, read: page(start, null) },
    { name: 'deep', target: 1.2, read: page(late, null) },
    { name: 'type of 4 in 10 (ipv4)', target: 1.5, read: page(start, ['ipv4']) },
    { name: 'type of 4 in 10, in the middle', target: 1.5, read: page(middle, ['ipv4']) },
    { name: 'type of 15 in 100 (url)', target: 1.5, read: page(start, ['url']) },
    { name: 'type of 15 in 100, in the middle', target: 1.5, read: page(middle, ['url']) },
    { name: 'type of 1 in 500 (email)', target: 1.5, read: page(start, ['email']) },
    { name: 'types: url, sha256, email', target: 1.5, read: page(start, ['url', 'sha256', 'email']) },
    { name: 'newest of type and confidence (url, a third)', target: 3, read: live(['url'], 80) },
    { name: 'newest of type and confidence (email, a third)', target: 3, read: live(['email'], 80) },
  ];
}

/** Where each page starts. */
async function datesOf(reader: Reader): Promise<number[]> {
  const dates: number[] = [];
  const filter = { journal: JOURNAL, observableTypes: null, stixTypes: null, objectIds: null };
  const versions = { last: true, first: false, all: false, exact: [] };
  for (let after = 0; ; ) {
    const { entries, more } = await reader.page({ ...filter, versions, after, limit: PAGE });
    after = entries.at(-1)?.dateAdded ?? after;
    if (!more) return dates;
    dates.push(after);
  }
}
