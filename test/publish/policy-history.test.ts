// slow (30 s): 200 random histories of feeds and policies, each read over TAXII
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import type { FeedDefinition } from '../../src/model/definition.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { Commits } from '../../src/store/commits.ts';
import { storeEngines } from '../../src/store/registry.ts';
import { collection, KEY, openApp } from '../helpers/app.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { type Bench, journal, openBench } from '../helpers/journals.ts';
import {
  DAY,
  type Name,
  names,
  type Policy,
  PolicyModel,
  type Row,
  type Said,
  type Settings,
  seenAt,
  values,
} from '../helpers/policy-model.ts';
import { newLocation, START, storeIn } from '../helpers/store.ts';
import { CollectionReader } from '../helpers/taxii-reader.ts';

/**
 * Random histories of feeds, policies, trust, decay and restarts on a scripted clock and a store in memory. After each step what is
 * served is what the policy in words takes of what the feeds say. At the end every reader holds that, who polled whenever before: by
 * `next`, by `added_after`, and by the rules of Elastic.
 *
 * HISTORY_SEED and HISTORY_PATH repeat a failure, HISTORY_RUNS says how many are tried.
 */
const SEED = Number(process.env['HISTORY_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const PATH = process.env['HISTORY_PATH'];
const RUNS = Number(process.env['HISTORY_RUNS'] ?? 200);

t.setTimeout(600_000);

type Step =
  | { do: 'pull'; name: Name; rows: Row[] }
  | { do: 'wait'; days: number }
  | { do: 'policy'; policy: Policy }
  | { do: 'feed'; name: Name; settings: Settings }
  | { do: 'restart' }
  | { do: 'read'; reader: number };

const row: fc.Arbitrary<Row> = fc.record({
  value: fc.constantFrom(...Object.keys(values)),
  confidence: fc.option(fc.constantFrom(20, 50, 78, 85, 100), { freq: 5 }),
  labels: fc.subarray(['C2', 'tor', 'malware:kit']),
  seen: fc.constantFrom(0, 0.3, 2, 9),
  ends: fc.option(fc.constantFrom(0.7, 6, 40), { freq: 1 }),
});
const policy: fc.Arbitrary<Policy> = fc
  .record({
    minConfidence: fc.constantFrom(0, 0, 40, 60, 83),
    types: fc.constantFrom<ObservableType[] | null>(null, null, ['domain']),
    sources: fc.constantFrom<Partial<Policy>>(
      {},
      {},
      { minSources: 2 },
      { minSources: 2, sourcesOf: ['list', 'copy'] },
      { sourcesOf: ['news'] },
    ),
    labels: fc.constantFrom<Partial<Policy>>(
      {},
      {},
      { labels: { any: ['c2', 'mal*'] } },
      { labels: { none: ['tor'] } },
    ),
    maxAge: fc.constantFrom<Partial<Policy>>({}, {}, { maxAge: DAY }, { maxAge: 8 * DAY }),
  })
  .map(({ sources, labels, maxAge, ...rest }) => ({ minSources: 1, ...rest, ...sources, ...labels, ...maxAge }));
const settings: fc.Arbitrary<Settings> = fc.record({
  trust: fc.constantFrom(1, 1, 0.5, 0),
  decay: fc.constantFrom(null, { speed: { default: 1 }, threshold: 0 }, { speed: { domain: 2.3 }, threshold: 0 }),
});
const name = fc.constantFrom(...names);
const READERS = 4;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('pull' as const),
      name,
      rows: fc.uniqueArray(row, { maxLength: 3, selector: ({ value }) => value }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), days: fc.double({ min: 0.001, max: 7, noNaN: true }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('policy' as const), policy }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('feed' as const), name, settings }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), reader: fc.nat(READERS - 1) }) },
);

const journals = (policy: Policy) => [
  journal(policy, { name: 'collection:plain', keep: 3650 * DAY }),
  journal(policy, { name: 'collection:agent', keep: 3650 * DAY, profile: 'elastic-agent' }),
];
const collections = ['plain', 'agent'] as const;

/** Plays a history to its end. Throws at the first thing that is not as it must be. Returns how often a policy changed what is live. */
async function play(t: Test, steps: readonly Step[]): Promise<number> {
  const closing: (() => unknown)[] = [];
  const life = {
    ...t,
    testdir: t.testdir.bind(t),
    error: t.error.bind(t),
    teardown: (close: () => unknown) => void closing.push(close),
  } as unknown as Test;
  const clock = scriptedClock(START, { auto: true });
  const store = storeIn(newLocation(t), storeEngines.memory);
  const commits = new Commits();
  const writer = await store.openWriter(clock, commits);
  const reader = await store.openReader(commits);
  const model = new PolicyModel();
  let bench = await openBench(life, model.definitions(), journals(model.policy), { clock, writer });
  const { app } = await openApp(life, {
    clock,
    reader,
    cursorSecret: await reader.cursorSecret(),
    collections: collections.map((alias) => collection(alias, { journal: `collection:${alias}` })),
  });
  const open = async (): Promise<Bench> => openBench(life, model.definitions(), journals(model.policy), bench);
  const readers = [
    new CollectionReader('plain', true),
    new CollectionReader('plain', false),
    new CollectionReader('agent', true),
    new CollectionReader('agent', false),
  ];
  const read = (one: CollectionReader): Promise<void> => one.read({ app, key: KEY }, clock.now());
  let changes = 0;
  for (const one of [...steps, { do: 'wait', days: 0.01 } as const]) {
    // Elastic takes out what was told and withdrawn within ten minutes only when something else comes.
    if (one.do !== 'read') clock.set(clock.now() + 11 * 60 * MICROS_PER_SECOND);
    const before = model.live(clock.now()).join();
    if (one.do === 'wait') clock.set(clock.now() + Math.round(one.days * MICROS_PER_DAY));
    else if (one.do === 'read') await read(readers[one.reader] as CollectionReader);
    else if (one.do === 'pull') {
      const definition = model.definitions().find(({ name }) => name === one.name) as FeedDefinition;
      const now = clock.now();
      model.pull(one.name, one.rows, now);
      await bench.pull(
        definition,
        one.rows.map((said) => rowOf({ ...said, at: now })),
      );
    } else {
      if (one.do === 'policy') model.policy = one.policy;
      if (one.do === 'feed') model.settings[one.name] = one.settings;
      bench = await open();
      if (model.live(clock.now()).join() !== before) changes += 1;
    }
    await bench.tick();
    const now = clock.now();
    for (const name of collections) {
      const { live } = await bench.indicators(`collection:${name}`);
      const found = live.map(({ value }) => value).sort();
      const wanted = model.live(now).sort();
      if (found.join() !== wanted.join())
        throw new Error(`${name} after ${JSON.stringify(one)}: ${found}, wanted ${wanted}`);
    }
  }
  const now = clock.now();
  for (const one of readers) {
    await read(one);
    const fresh = new CollectionReader(one.collection, true);
    await read(fresh);
    const wanted = fresh.live(now);
    if (wanted.length !== model.live(now).length)
      throw new Error(`${one.collection}: ${wanted}, wanted ${model.live(now)}`);
    if (one.live(now).join() !== wanted.join())
      throw new Error(`who read ${one.collection}: ${one.live(now)}, wanted ${wanted}`);
    if (one.collection !== 'agent') continue;
    if (one.index.live().join() !== wanted.join()) throw new Error(`Elastic: ${one.index.live()}, wanted ${wanted}`);
    if (one.index.matchable(now).join() !== wanted.join()) throw new Error('what the rules of Elastic match');
  }
  for (const close of closing.reverse()) await close();
  await reader.close();
  await writer.close();
  return changes;
}

function rowOf(said: Said) {
  const { value, confidence, labels, ends, at } = said;
  return {
    value,
    labels,
    lastSeen: formatMillis(seenAt(said)),
    ...(confidence === null ? {} : { confidence }),
    ...(ends === null ? {} : { expires: formatMillis(at + ends * MICROS_PER_DAY) }),
  };
}

t.test('whatever feeds say and policies ask, who polled before ends with exactly what is live', async (t) => {
  t.comment(`HISTORY_SEED=${SEED}`);
  let [runs, changes] = [0, 0];
  const property = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24, size: 'max' }), async (steps) => {
    runs += 1;
    changes += await play(t, steps);
  });
  await fc.assert(property, {
    seed: SEED,
    numRuns: RUNS,
    endOnFailure: PATH !== undefined,
    ...(PATH === undefined ? {} : { path: PATH }),
  });
  t.comment(`${runs} histories, ${changes} changes of a policy that readers had to be told of`);
  t.ok(changes > runs / 4);
});
