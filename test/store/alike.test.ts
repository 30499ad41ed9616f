import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { GatewayError } from '../../src/model/error.ts';
import type { ObservableKey } from '../../src/model/observable.ts';
import type { Rejection } from '../../src/model/observation.ts';
import type { Store } from '../../src/store/engine.ts';
import { storeEngines } from '../../src/store/registry.ts';
import type { Pull, Transaction, Writer } from '../../src/store/store.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { observation, START, stixObject, storeIn, uuidOf } from '../helpers/store.ts';

/**
 * What all engines must say alike: the same random polls are saved in each of them, a transaction each, some of which are undone, and
 * every answer and all that is kept is compared. Journals and pages are compared with plain models in the contract suite.
 */

const FEEDS = ['one', 'two'];
const VALUES = ['a.example', 'b.example', 'c.a.example', 'd.example'];
const OBJECTS = ['x', 'y', 'z'];
const KEYS = VALUES.map((value) => observation({ value }).key);
const OBJECT_IDS = OBJECTS.map((name) => stixObject({ name }).id);
const statementOf = (n: number) => `indicator--${uuidOf(`statement ${n}`)}`;

interface Row {
  value: string;
  confidence: number;
  statement: number | null;
  other: number | null;
  reportedAt: number;
}

const rowOf = ({ value, confidence, statement, other, reportedAt }: Row) =>
  observation({
    value,
    confidence,
    reportedAt: START + reportedAt,
    sourceId: statement === null ? null : statementOf(statement),
    version: statement === null ? null : START,
    others: other === null ? [] : [{ id: statementOf(other), version: START, validUntil: null, reportedAt: START }],
  });

const small = (max: number) => fc.integer({ min: 0, max });
const maybe = (max: number) => fc.option(small(max), { nil: null });
const rows = fc.array(
  fc.record<Row>({
    value: fc.constantFrom(...VALUES),
    confidence: small(2),
    statement: maybe(2),
    other: maybe(2),
    reportedAt: small(2),
  }),
  { maxLength: 5 },
);
const eachOnce = rows.map((all) => [...new Map(all.map((row) => [row.value, row])).values()]);
const objects = fc.array(fc.record({ name: fc.constantFrom(...OBJECTS), size: small(2) }), { maxLength: 4 });
const refused = fc.array(
  fc.record({ row: fc.constantFrom('r', 's'), isNote: fc.boolean(), reason: fc.constantFrom('bad-value', 'bad-date') }),
  { maxLength: 4 },
);
const keys = fc.subarray(KEYS);
const ids = fc.subarray(OBJECT_IDS);

/** What each engine is asked. */
interface Call {
  name: string;
  args: unknown;
  ask(tx: Transaction, pull: Pull): Promise<unknown>;
}

function call<T>(name: string, args: fc.Arbitrary<T>, ask: (tx: Transaction, pull: Pull, args: T) => Promise<unknown>) {
  return args.map((args): Call => ({ name, args, ask: (tx, pull) => ask(tx, pull, args) }));
}

const calls = fc.oneof(
  call('observe', rows, async (tx, pull, all) => {
    const { changed, again } = await tx.observe(pull, all.map(rowOf));
    return { changed: changed.sort(), again: again.sort() };
  }),
  call('confirm', eachOnce, async (tx, pull, all) => {
    const { fresh, different } = await tx.confirm(pull, all.map(rowOf));
    return { fresh: sorted(fresh), different: sorted(different) };
  }),
  call('amend', eachOnce, (tx, { feed }, all) => tx.amend(feed, all.map(rowOf))),
  call('removeObservations', keys, (tx, { feed }, some) => tx.removeObservations(feed, some)),
  call('observeObjects', objects, async (tx, pull, all) => {
    const changed = await tx.observeObjects(
      pull,
      all.map(({ name, size }) => stixObject({ name, raw: { name, size } })),
    );
    return changed.map(({ id }) => id).sort();
  }),
  call('removeObjects', ids, async (tx, { feed }, some) => (await tx.removeObjects(feed, some)).sort()),
  call('removeUnseen', small(2), (tx, pull, limit) => tx.removeUnseen(pull, limit + 1)),
  call('removeUnseenObjects', small(2), (tx, pull, limit) => tx.removeUnseenObjects(pull, limit + 1)),
  call('reject', refused, (tx, pull, all) => tx.reject(pull, all.map(rejectionOf), START)),
  call('forgetRejections', fc.constant(null), (tx, pull) => tx.forgetRejections(pull)),
  call('judge', keys, (tx, { feed }, some) => leaveOut(tx, feed, some)),
  call('judgeObjects', ids, (tx, { feed }, some) => {
    const verdicts = some.map((id) => ({ feed, id, kind: 'object' as const, reason: null }));
    return tx.judgeObjects('pool:main', some, verdicts);
  }),
  call('rememberEnded', fc.array(small(2), { maxLength: 3 }), (tx, { feed }, some) => {
    const statements = some.map((n) => ({ id: statementOf(n), version: START + n }));
    return tx.rememberEnded(feed, statements, START + some.length);
  }),
  call('forgetEnded', small(3), (tx, { feed }, before) => tx.forgetEnded(feed, START + before, 2)),
  call('removeFeed', fc.constant(null), (tx, { feed }) => tx.removeFeed(feed)),
);

function rejectionOf({ row, isNote, reason }: { row: string; isNote: boolean; reason: string }): Rejection {
  return { row, reason: reason as Rejection['reason'], detail: 'why', ...(isNote ? { isNote } : {}) };
}

/** A verdict is on an observation that there is. */
async function leaveOut(tx: Transaction, feed: string, some: readonly ObservableKey[]): Promise<void> {
  const held = await tx.observations([feed], some);
  const leftOut = held.map(({ key, observable }) => ({ feed, key, type: observable.type, reason: 'expired' as const }));
  await tx.judge('pool:main', some, leftOut);
}

/** One transaction, in the pull of its feed that is under way or in a new one. */
interface Step {
  feed: string;
  isNewPull: boolean;
  calls: Call[];
  isUndone: boolean;
}

const steps: fc.Arbitrary<Step> = fc.record({
  feed: fc.constantFrom(...FEEDS),
  isNewPull: fc.boolean(),
  calls: fc.array(calls, { minLength: 1, maxLength: 3 }),
  isUndone: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
});

class Engine {
  readonly #writer: Writer;
  readonly #pulls = new Map<string, Pull>();

  private constructor(writer: Writer) {
    this.#writer = writer;
  }

  static async open(store: Store): Promise<Engine> {
    const writer = await store.openWriter(scriptedClock(START));
    await writer.transaction((tx) => tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions: 'last' }));
    return new Engine(writer);
  }

  close(): Promise<void> {
    return this.#writer.close();
  }

  /** Takes a step; returns every answer, and what is kept afterwards. */
  async take({ feed, isNewPull, calls, isUndone }: Step): Promise<unknown> {
    const known = isNewPull ? undefined : this.#pulls.get(feed);
    const pull = known ?? (await this.#writer.beginPull(feed));
    this.#pulls.set(feed, pull);
    const answers: unknown[] = [];
    const undone = new Error('undone');
    try {
      await this.#writer.transaction(async (tx) => {
        for (const call of calls) answers.push(await call.ask(tx, pull));
        answers.push(await kept(tx, pull));
        if (isUndone) throw undone;
      });
    } catch (error) {
      if (error !== undone) answers.push(error instanceof GatewayError ? error.code : error);
    }
    const after = await this.#writer.transaction((tx) => kept(tx, pull));
    return { answers, after };
  }
}

/** All that the store keeps of feeds; what comes in no particular order is sorted. */
async function kept(tx: Transaction, pull: Pull): Promise<unknown> {
  const { feed } = pull;
  const statements = [0, 1, 2].map(statementOf);
  const { rows, counts } = await tx.rejections(feed, 10);
  return {
    feeds: await tx.knownFeeds(),
    states: await Promise.all(FEEDS.map((name) => tx.feedState(name))),
    observations: sorted(await tx.observations(FEEDS, KEYS)),
    saidBy: await Promise.all(statements.map(async (id) => sorted(await tx.saidBy(feed, [id])))),
    keys: [await tx.observedKeys(FEEDS, null, 3), await tx.observedKeys([feed], KEYS[0] ?? null, 2)],
    under: await tx.keysUnder('a.example', null, 9),
    objects: [await tx.objects(FEEDS, null, 2), sorted(await tx.objectsById(FEEDS, OBJECT_IDS))],
    versions: sorted([...(await tx.objectVersions(feed, OBJECT_IDS))]),
    ended: sorted([...(await tx.endedVersions(feed, statements))]),
    seen: [...(await tx.seenKeys(pull, KEYS))].sort(),
    unseen: await tx.unseen(pull),
    marked: await tx.marked(pull),
    rejections: { counts, rows: sorted(rows) },
    served: sorted(await tx.served()),
    leftOut: await tx.leftOut('pool:main', feed, 9),
  };
}

function sorted<T>(all: readonly T[]): T[] {
  const textOf = (one: T) => JSON.stringify(one);
  return [...all].sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
}

t.test('engines answer the same to random polls, and keep the same of them', async (t) => {
  const directory = t.testdir();
  let runs = 0;
  const property = fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 16 }), async (all) => {
    runs += 1;
    const engines = await Promise.all(
      Object.values(storeEngines).map((engine) => Engine.open(storeIn(join(directory, `${runs}`), engine))),
    );
    for (const [i, step] of all.entries()) {
      const [first, ...others] = await Promise.all(engines.map((engine) => engine.take(step)));
      for (const other of others) {
        if (!isDeepStrictEqual(other, first)) throw new Error(`step ${i}: ${difference(first, other)}`);
      }
    }
    for (const engine of engines) await engine.close();
  });
  await fc.assert(property, { numRuns: 60 });
  t.ok(runs >= 60);
});

/** The first member in which two answers differ. */
function difference(a: unknown, b: unknown): string {
  if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    const [one, other] = [Object.entries(a), new Map(Object.entries(b))];
    for (const [name, value] of one)
      if (!isDeepStrictEqual(value, other.get(name))) return `${name} ${difference(value, other.get(name))}`;
  }
  return `${JSON.stringify(a)} is not ${JSON.stringify(b)}`;
}
