// slow (9 s): processes of its own, and large stores
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { Commits } from '../../src/store/commits.ts';
import { observableCodes } from '../../src/store/sqlite/codes.ts';
import { Connection } from '../../src/store/sqlite/connection.ts';
import { TAKE_ENTRY } from '../../src/store/sqlite/entry-rows.ts';
import { requireJournal } from '../../src/store/sqlite/journals.ts';
import { APPLICATION_ID, migrate, migrations } from '../../src/store/sqlite/migrate.ts';
import {
  filteredQuery,
  liveEntriesQuery,
  type Statement,
  select,
  selectNearby,
} from '../../src/store/sqlite/selection.ts';
import { readTypeCounts } from '../../src/store/sqlite/type-counts.ts';
import { readVerdicts } from '../../src/store/sqlite/verdicts.ts';
import type { Writer } from '../../src/store/store.ts';
import { scriptedClock } from '../helpers/clock.ts';
import {
  appendEntries,
  entryFilter,
  indicatorEntry,
  objectEntry,
  openJournalStore,
  START,
  storeIn,
} from '../helpers/store.ts';
import { BATCHES, ingestBatch, ROWS, rowsOf, STEPS } from './ingest.ts';

const FILE = 'sluice.db';

t.test('a store is made with the newest version, in WAL, for its owner alone', async (t) => {
  const location = join(t.testdir(), 'data', 'store');
  const writer = await storeIn(location).openWriter(scriptedClock(START));
  t.teardown(() => writer.close());
  const db = new DatabaseSync(join(location, FILE), { readOnly: true });
  t.teardown(() => db.close());
  t.equal(db.prepare('PRAGMA user_version').get()?.['user_version'], migrations.length);
  t.equal(db.prepare('PRAGMA application_id').get()?.['application_id'], APPLICATION_ID);
  t.equal(db.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal');
  t.equal(db.prepare('PRAGMA page_size').get()?.['page_size'], 8192);
  for (const file of readdirSync(location)) t.equal(statSync(join(location, file)).mode & 0o077, 0, file);
});

t.test('migrations are numbered from 1 without a gap', async (t) => {
  t.strictSame(
    migrations.map(({ version }) => version),
    migrations.map((_, i) => i + 1),
  );
});

t.test('each missing migration is applied once; one that fails leaves no trace and can be repeated', async (t) => {
  const db = new DatabaseSync(':memory:');
  t.teardown(() => db.close());
  const version = () => db.prepare('PRAGMA user_version').get()?.['user_version'];
  const next = migrations.length + 1;
  const good = [
    ...migrations,
    { version: next, sql: 'CREATE TABLE added (a INT) STRICT; INSERT INTO added VALUES (1)' },
  ];
  const bad = [...good, { version: next + 1, sql: 'CREATE TABLE half (a INT) STRICT; INSERT INTO nowhere VALUES (1)' }];
  migrate(db);
  const identity = db.prepare('SELECT * FROM meta ORDER BY name').all();
  t.equal(identity.length, 2);
  t.throws(() => migrate(db, bad), /nowhere/);
  t.equal(version(), next);
  t.equal(db.isTransaction, false);
  t.strictSame(db.prepare("SELECT name FROM sqlite_schema WHERE name = 'half'").all(), []);
  migrate(db, [...good, { version: next + 1, sql: 'CREATE TABLE half (a INT) STRICT' }]);
  t.equal(version(), next + 1);
  t.equal(db.prepare('SELECT count(*) AS n FROM added').get()?.['n'], 1);
  t.strictSame(db.prepare('SELECT * FROM meta ORDER BY name').all(), identity, 'the identity is given once');
});

t.test('a store of the first version gets the ranges of what it holds', async (t) => {
  const db = new DatabaseSync(':memory:');
  t.teardown(() => db.close());
  migrate(db, migrations.slice(0, 1));
  const insert = db.prepare(
    `INSERT INTO observations (feed, key, fingerprint, type, value, revoked, heard_at, detail)
     VALUES (1, randomblob(16), 0, ?, ?, 0, 0, '{}')`,
  );
  for (const [type, value] of [
    [observableCodes.ipv4, '198.51.100.0/24'],
    [observableCodes.ipv6, '2001:db8::1'],
    [observableCodes.domain, 'www.example.com'],
    [observableCodes.url, 'https://www.example.com:8443/a'],
    [observableCodes.md5, 'd41d8cd98f00b204e9800998ecf8427e'],
  ] as const)
    insert.run(type, value);
  migrate(db);
  t.strictSame(
    db
      .prepare('SELECT range_key FROM observations ORDER BY id')
      .all()
      .map((row) => row['range_key']),
    ['4c633640018', '620010db800000000000000000000000180', 'dcom.example.www.', 'dcom.example.www.', null],
  );
});

t.test('a store of a newer version is refused by writer and reader, and not touched', async (t) => {
  const location = t.testdir();
  await (await storeIn(location).openWriter(scriptedClock(START))).close();
  const db = new DatabaseSync(join(location, FILE));
  db.exec(`PRAGMA user_version = ${migrations.length + 1}`);
  db.close();
  const before = readFileSync(join(location, FILE));
  const refusal = { name: 'GatewayError', code: 'store-failed', message: /newer/ };
  await t.rejects(storeIn(location).openWriter(scriptedClock(START)), refusal);
  await t.rejects(storeIn(location).openReader(), refusal);
  t.ok(before.equals(readFileSync(join(location, FILE))));
});

t.test('a store that was not migrated yet is refused by a reader', async (t) => {
  const location = t.testdir();
  const db = new DatabaseSync(join(location, FILE));
  db.close();
  await t.rejects(storeIn(location).openReader(), { code: 'store-failed', message: /migrated/ });
});

t.test("another program's database and a file that is none are refused and not touched", async (t) => {
  const location = t.testdir({ foreign: {}, text: {} });
  const foreign = join(location, 'foreign');
  const db = new DatabaseSync(join(foreign, FILE));
  db.exec('CREATE TABLE theirs (a)');
  db.close();
  const text = join(location, 'text');
  writeFileSync(join(text, FILE), 'This is a text of some length, and not at all a database of SQLite. '.repeat(20));
  for (const [place, code] of [
    [foreign, 'store-failed'],
    [text, 'store-damaged'],
  ] as const) {
    const before = readFileSync(join(place, FILE));
    await t.rejects(storeIn(place).openWriter(scriptedClock(START)), { name: 'GatewayError', code });
    await t.rejects(storeIn(place).openReader(), { name: 'GatewayError', code });
    t.ok(before.equals(readFileSync(join(place, FILE))), place);
  }
  await t.rejects(storeIn(join(text, FILE, 'below')).openWriter(scriptedClock(START)), { code: 'store-failed' });
});

t.test('no page sorts, or passes over entries that its filter leaves out', async (t) => {
  const { location, writer } = await openJournalStore(t, undefined, 'all');
  await writer.transaction((tx) =>
    appendEntries(tx, 'pool:main', [
      objectEntry({ stixType: 'identity', isProducerObject: true }),
      ...(['ipv4', 'domain', 'url', 'cve'] as const).map((type) => indicatorEntry({ type, value: type })),
      indicatorEntry({ value: 'dead', revoked: true, reason: 'vanished' }),
    ]),
  );
  const connection = Connection.openForReading(join(location, FILE));
  t.teardown(() => connection.close());
  const journal = requireJournal(connection, 'pool:main');
  const typeCounts = readTypeCounts(connection, journal.id);
  const planOf = (selection: Statement | null) =>
    connection
      .allNamed<[number, number, number, string]>(`EXPLAIN QUERY PLAN ${selection?.sql}`, selection?.values ?? {})
      .map(([, , , detail]) => detail);
  const versions = (parts: object) => ({ versions: { last: false, first: false, all: false, exact: [], ...parts } });
  for (const filter of [
    {},
    { observableTypes: ['ipv4'] as const },
    { observableTypes: ['ipv4', 'domain', 'url'] as const },
    { stixTypes: ['indicator'] },
    versions({ all: true }),
    versions({ first: true }),
    versions({ exact: [START] }),
    { observableTypes: ['ipv4'] as const, ...versions({ last: true, exact: [START], first: true }) },
  ]) {
    const wanted = filteredQuery(journal, typeCounts, entryFilter(filter), START, 10);
    for (const each of [wanted, { ...wanted, newestFirst: true }]) {
      const plans = [planOf(select(each, TAKE_ENTRY))];
      const nearby = selectNearby(connection, each, TAKE_ENTRY);
      if (nearby !== null) plans.push(planOf(nearby));
      for (const plan of plans) proveOrdered(t, plan, JSON.stringify(filter));
    }
  }
  const bounds = { since: START, before: START * 2, offset: 5, limit: 10 };
  for (const query of [
    { observableTypes: null, minConfidence: null, maxConfidence: null },
    { observableTypes: ['url'] as const, minConfidence: 50, maxConfidence: 60 },
    { observableTypes: null, minConfidence: 90, maxConfidence: null },
  ]) {
    const wanted = liveEntriesQuery(journal, typeCounts, { journal: 'pool:main', ...query, ...bounds });
    proveOrdered(t, planOf(select(wanted, TAKE_ENTRY)), JSON.stringify(query));
  }
  const byId = filteredQuery(journal, typeCounts, entryFilter({ objectIds: [indicatorEntry().objectId] }), 0, 10);
  const plan = planOf(select(byId, TAKE_ENTRY));
  t.ok(
    plan.some((detail) => detail.includes('INDEX entries_by_uuid (journal=? AND uuid=?)')),
    `an object is found by its id: ${plan}`,
  );
});

t.test('what is served is counted without a look at a row, and what is left out is found by its feed', async (t) => {
  const { location } = await openJournalStore(t);
  const connection = Connection.openForReading(join(location, FILE));
  t.teardown(() => connection.close());
  const asked: string[] = [];
  const statement = connection.statement.bind(connection);
  connection.statement = (sql) => {
    asked.push(sql);
    return statement(sql);
  };
  const planOf = (sql: string) =>
    connection.db
      .prepare(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .map(({ detail }) => String(detail));
  const { served, leftOut } = readVerdicts(connection);
  served();
  const counting = asked.splice(0).flatMap(planOf);
  t.notMatch(counting.join('\n'), /\b(observations|feed_objects|entries|verdicts)\b|\b[ove]\b|B-TREE/);
  leftOut('pool:main', 'house', 10);
  for (const sql of asked.splice(0).filter((text) => text.includes('verdicts'))) {
    const plan = planOf(sql);
    t.ok(
      plan.some((detail) => detail.startsWith('SEARCH v USING PRIMARY KEY (journal=? AND feed=?')),
      `${plan}`,
    );
    t.notMatch(plan.join('\n'), /SCAN|B-TREE/);
  }
  connection.statement = statement;
});

t.test('rows are handed over as they are in the result, one by one', async (t) => {
  const { location } = await openJournalStore(t);
  const connection = Connection.openForReading(join(location, FILE));
  t.teardown(() => connection.close());
  const from = `FROM (VALUES (1, 'b'), (2, 'c' || char(0) || 'd'), (3, NULL), (9007199254740991, 'ü'), (5, x'00ff')) v
    WHERE column1 <> :not LIMIT 3 OFFSET 1`;
  for (let again = 0; again < 2; again += 1) {
    const rows: (readonly unknown[])[] = [];
    const count = connection.each(`SELECT take(column1, column2, 1.5) ${from}`, { not: 3 }, (row) => rows.push(row));
    t.equal(count, 3);
    t.strictSame(rows, connection.allNamed(`SELECT column1, column2, 1.5 ${from}`, { not: 3 }));
    t.strictSame(rows[0], [2, 'c\0d', 1.5]);
  }
  const nobody = () => t.fail('nothing is visited');
  t.equal(connection.each('SELECT take(?) WHERE false', [1], nobody), 0);
  t.throws(() => connection.each('SELECT take(1 << 60)', [], nobody), { code: 'ERR_OUT_OF_RANGE' });
  const refusal = new Error('no');
  const refuse = () => {
    throw refusal;
  };
  t.throws(() => connection.each(`SELECT take(column1) ${from}`, { not: 0 }, refuse), refusal);
  const sorted = 'SELECT take(column1) FROM (VALUES (2), (1)) ORDER BY column1 LIMIT 1';
  t.throws(() => connection.each(sorted, [], () => undefined), /2 rows were taken for the 1/);
});

t.test('what is read in one view is of one moment, whatever is committed meanwhile', async (t) => {
  const { writer, location } = await openJournalStore(t);
  const connection = Connection.openForReading(join(location, FILE));
  const other = Connection.openForWriting(join(location, FILE));
  t.teardown(() => connection.close());
  t.teardown(() => other.close());
  const heads = () => connection.all<[number | null]>('SELECT head FROM journals').flat();
  const setHead = (head: number) => other.run('UPDATE journals SET head = ?', head);
  const seen = connection.inOneView(() => {
    const before = heads();
    setHead(1);
    return [before, connection.inOneView(heads), heads()];
  });
  t.strictSame(seen, [[null], [null], [null]]);
  t.strictSame(heads(), [1], 'the view is over');
  const undone = new Error('undone');
  const fail = () => {
    heads();
    throw undone;
  };
  t.throws(() => connection.inOneView(fail), undone);
  setHead(2);
  t.strictSame(heads(), [2], 'after an error as well');
  await writer.close();
});

const BY_TYPE =
  'INDEX entries_by_type (journal=? AND type=? AND superseded=? AND revoked=? AND date_added>? AND date_added<?)';
const ORDERED = [
  'SEARCH e USING INDEX entries_by_date (journal=? AND date_added>? AND date_added<?)',
  'SEARCH e USING INTEGER PRIMARY KEY (rowid=?)',
  `SEARCH e USING COVERING ${BY_TYPE}`,
  'SEARCH o USING INDEX entries_by_uuid (journal=? AND uuid=?)',
];

/** Every access to entries is to a range of dates, in their order; nothing is sorted. */
function proveOrdered(t: Test, plan: string[], what: string): void {
  const isFirst = plan.some((detail) => detail.startsWith('SEARCH o'));
  // Only the first version of an object takes its id, which no narrow index has.
  const allowed = isFirst ? [...ORDERED, `SEARCH e USING ${BY_TYPE}`] : ORDERED;
  const accesses = plan.filter((detail) => /^(SCAN|SEARCH) (e|o|entries)\b/.test(detail));
  t.ok(accesses.length > 0, what);
  const others = plan.filter((detail) => accesses.includes(detail) && !allowed.includes(detail));
  t.strictSame(others.concat(plan.filter((detail) => detail.includes('TEMP B-TREE'))), [], what);
}

t.test(
  'a process killed at any step of an ingest leaves whole batches and loses none that was acknowledged',
  async (t) => {
    const steps = BATCHES * STEPS;
    // One of each kind of step, spread over the batches by a fixed seed.
    const seeded = Array.from({ length: STEPS }, (_, i) => (((i * 7 + 3) % BATCHES) * STEPS + i) % steps);
    for (const fatal of seeded) {
      const location = t.testdir({ [`step-${fatal}`]: {} });
      await proveRecovery(t, join(location, `step-${fatal}`), fatal);
    }
  },
);

t.test('nor does one that is killed from outside, wherever it is', async (t) => {
  for (const [i, acknowledged] of [1, 4, 7].entries()) {
    await proveRecovery(t, join(t.testdir(), `run-${i}`), -1, acknowledged);
  }
});

/** Runs the ingest until it dies by itself before step `fatal`, or is killed once `killAfter` batches are acknowledged. */
async function proveRecovery(
  t: Test,
  location: string,
  fatal: number,
  killAfter = Number.POSITIVE_INFINITY,
): Promise<void> {
  const script = fileURLToPath(new URL('ingest.ts', import.meta.url));
  const child = spawn(process.execPath, [script, location, String(fatal)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let acknowledged = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.trim().split('\n')) acknowledged = Number(line);
    if (acknowledged >= killAfter) child.kill('SIGKILL');
  });
  const [, signal] = await once(child, 'close');
  t.equal(signal, 'SIGKILL', `killed after ${acknowledged} batches`);

  const reader = await storeIn(location).openReader();
  const readable = Number((await reader.feedState('house')).cursor);
  await reader.close();

  // The clock has been set back: dates have to rise nevertheless.
  const clock = scriptedClock(START - MICROS_PER_SECOND);
  const writer = await storeIn(location).openWriter(clock);
  const typeCounts = await allEntries(writer);
  const cursor = Number((await writer.feedState('house')).cursor);
  t.ok(cursor >= acknowledged && cursor <= acknowledged + 1, `${cursor} batches kept, ${acknowledged} acknowledged`);
  t.equal(readable, cursor, 'which a reader sees even before a writer has been there');
  t.equal((await writer.feedState('house')).observations, cursor * ROWS);
  t.strictSame(
    typeCounts.map(({ value }) => value).sort(),
    Array.from({ length: cursor }, (_, batch) => rowsOf(batch).map(({ observable }) => observable.value))
      .flat()
      .sort(),
    'exactly the rows of these batches',
  );
  t.strictSame(await writer.countLive('pool:main'), cursor === 0 ? {} : { domain: cursor * ROWS });

  // The pull is repeated whole.
  const last = typeCounts.at(-1)?.dateAdded ?? 0;
  const pull = await writer.beginPull('house');
  await writer.transaction(async (tx) => {
    await tx.openJournal({ name: 'pool:main', pool: 'main', keepVersions: 'last' });
    t.strictSame(await tx.unseen(pull), { unseen: cursor * ROWS, total: cursor * ROWS });
  });
  for (let batch = 0; batch < BATCHES; batch += 1) await writer.transaction((tx) => ingestBatch(tx, pull, batch));
  await writer.transaction(async (tx) => t.strictSame(await tx.removeUnseen(pull, 100), []));
  const all = await allEntries(writer);
  t.equal(all.length, BATCHES * ROWS);
  t.strictSame(all.slice(0, typeCounts.length), typeCounts, 'what was there has not moved');
  t.ok(
    all.slice(typeCounts.length).every(({ dateAdded }) => dateAdded > last),
    'what is new comes after it: an old cursor goes on',
  );
  await writer.close();
  const db = new DatabaseSync(join(location, FILE), { readOnly: true });
  t.equal(db.prepare('PRAGMA integrity_check').get()?.['integrity_check'], 'ok');
  db.close();
}

async function allEntries(writer: Writer) {
  const { entries, more } = await writer.page({ ...entryFilter(), after: 0, limit: BATCHES * ROWS + 1 });
  if (more) throw new Error('more entries than rows');
  return entries.flatMap((entry) => (entry.kind === 'indicator' ? [entry] : []));
}

t.test('a state that is unchanged means that nothing was committed, in whatever thread', async (t) => {
  const location = t.testdir();
  const commits = new Commits();
  const writer = await storeIn(location).openWriter(scriptedClock(START), new Commits(commits.memory));
  const reader = await storeIn(location).openReader(commits);
  const alone = await storeIn(location).openReader();
  t.teardown(() => Promise.all([reader.close(), alone.close(), writer.close()]));
  const before = reader.state();
  t.type(before, 'number');
  t.equal(alone.state(), null, 'who hears of no commit knows nothing');
  await writer.transaction(async (tx) => {
    await tx.openJournal({ name: 'j', pool: 'p', keepVersions: 'last' });
    t.equal(reader.state(), before, 'nothing is seen of it yet');
  });
  const after = reader.state();
  t.not(after, before);
  await t.rejects(writer.transaction(() => Promise.reject(new Error('undone'))));
  t.equal(reader.state(), after);
  t.throws(() => commits.around(fail), /no room/);
  t.not(reader.state(), after, 'a commit that failed may have happened');

  function fail(): void {
    t.equal(reader.state(), null, 'while it is under way nobody can know');
    throw new Error('no room');
  }
  Atomics.add(new Int32Array(commits.memory), 0, 1);
  t.equal(reader.state(), null, 'a writer died in the middle');
  await writer.transaction((tx) => tx.openJournal({ name: 'k', pool: 'p', keepVersions: 'last' }));
  t.type(reader.state(), 'number', 'until the next one has ended its own');
});
