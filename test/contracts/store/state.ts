import type { Test } from 'tap';
import type { Contribution } from '../../../src/model/contribution.ts';
import type { Rejection } from '../../../src/model/observation.ts';
import type { AccountState, Client, DeadLetter, FeedState } from '../../../src/model/state.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import { MAX_REJECTIONS_PER_FEED } from '../../../src/store/limits.ts';
import type { Pull } from '../../../src/store/store.ts';
import { scriptedClock } from '../../helpers/clock.ts';
import { observation, openTemporaryStore, START } from '../../helpers/store.ts';

/** What is remembered besides observations and journals. */
export async function proveState(t: Test, engine: StoreEngine): Promise<void> {
  const open = (t: Test) => openTemporaryStore(t, scriptedClock(START), engine);

  t.test('a feed that nothing is known of has an empty state and is not listed', async (t) => {
    const { reader } = await open(t);
    t.strictSame(await reader.feedState('house'), emptyState('house'));
    t.strictSame(await reader.feedStates(), []);
  });

  t.test('a saved patch changes what it names and nothing else', async (t) => {
    const { writer, reader } = await open(t);
    const full: Omit<FeedState, 'feed' | 'observations' | 'objects'> = {
      cursor: 'c',
      movedAt: START - 9,
      etag: '"e"',
      lastModified: 'Thu, 01 Jan 2026 00:00:00 GMT',
      bodyHash: 'h',
      confirmedAt: START,
      succeededAt: START + 1,
      attemptedAt: START + 2,
      nextPollAt: START + 3,
      failures: 4,
      error: { code: 'upstream-failed', message: 'm', at: START },
      gap: { from: START - 2, to: START - 1, at: START },
      note: { text: 'n', at: START },
      lapsedAt: START + 9,
      changedAt: START - 8,
      freshUntil: START + 8,
      accepted: 5,
      rejected: 6,
      read: 7,
      split: 8,
      folded: 9,
      filtered: 7,
      gone: 10,
    };
    await writer.transaction((tx) => tx.saveFeedState('house', full));
    t.strictSame(await reader.feedState('house'), { feed: 'house', ...full, observations: 0, objects: 0 });
    for (const [property, value] of Object.entries(emptyState('house'))) {
      if (property === 'feed' || property === 'observations' || property === 'objects') continue;
      await writer.transaction((tx) => tx.saveFeedState('house', full));
      await writer.transaction((tx) => tx.saveFeedState('house', { [property]: value }));
      t.strictSame(
        await reader.feedState('house'),
        { feed: 'house', ...full, observations: 0, objects: 0, [property]: value },
        property,
      );
    }
    await writer.transaction((tx) => tx.saveFeedState('another', {}));
    t.strictSame(
      (await reader.feedStates()).map(({ feed }) => feed),
      ['another', 'house'],
    );
  });

  t.test('the bookmark commits with the rows it stands for, or not at all', async (t) => {
    const { writer, reader } = await open(t);
    const pull = await writer.beginPull('house');
    const failing = writer.transaction(async (tx) => {
      await tx.observe(pull, [observation()]);
      await tx.saveFeedState('house', { cursor: 'next' });
      throw new Error('cut');
    });
    await t.rejects(failing, { message: 'cut' });
    t.strictSame(await reader.feedState('house'), emptyState('house'));
  });

  t.test('accounts keep how much of their allowance is spent', async (t) => {
    const { writer, reader } = await open(t);
    const unused = { account: 'a', lastRequestAt: null, blockedUntil: null, windows: {}, requests: 0 };
    t.strictSame(await reader.account('a'), unused);
    t.strictSame(await reader.accounts(), []);
    const state: AccountState = {
      account: 'a',
      lastRequestAt: START,
      blockedUntil: START + 1,
      windows: { '60': { startedAt: START, used: 3 }, '86400': { startedAt: START, used: 40 } },
      requests: 43,
    };
    await writer.transaction((tx) => tx.saveAccount({ ...state, requests: 1 }));
    await writer.transaction((tx) => tx.saveAccount(state));
    await writer.transaction((tx) => tx.saveAccount({ ...unused, account: 'b' }));
    t.strictSame(await reader.account('a'), state);
    t.strictSame(await reader.accounts(), [state, { ...unused, account: 'b' }]);
  });

  t.test('a refused row is kept and counted once, with its first and last time, however often it comes', async (t) => {
    const { writer, reader } = await open(t);
    const rejection = (row: string, reason: Rejection['reason'] = 'bad-value'): Rejection => ({
      reason,
      detail: 'd',
      row,
    });
    const pull = await writer.beginPull('house');
    const reject = (of: Pull, at: number, ...rows: Rejection[]) => writer.transaction((tx) => tx.reject(of, rows, at));
    t.strictSame(await reject(pull, START, rejection('1'), rejection('2'), rejection('1')), { added: 2, first: 2 });
    const before = await reader.rejections('house', 10);
    t.strictSame(
      before.rows.map(({ row, count }) => [row, count]),
      [
        ['1', 2],
        ['2', 1],
      ],
      'the row that came last comes first',
    );
    t.strictSame(await reject(pull, START + 1, rejection('1', 'no-value')), { added: 1, first: 1 }, 'another reason');
    t.strictSame(await reject(pull, START + 1, rejection('2')), { added: 0, first: 0 });
    const next = await writer.beginPull('house');
    t.strictSame(await reject(next, START + 2, rejection('1')), { added: 0, first: 1 }, 'new to this pull');
    t.strictSame(await reject(next, START + 2, rejection('1')), { added: 0, first: 0 });
    await reject(await writer.beginPull('other'), START + 3, rejection('1'));
    t.strictSame(await reject(next, START + 4), { added: 0, first: 0 });
    const { counts, rows } = await reader.rejections('house', 10);
    t.strictSame(counts, [
      { reason: 'bad-value', count: 2, isNote: false },
      { reason: 'no-value', count: 1, isNote: false },
    ]);
    const common = { feed: 'house', detail: 'd', isNote: false };
    t.strictSame(rows, [
      { ...common, reason: 'bad-value', row: '1', firstAt: START, lastAt: START + 2, count: 4 },
      { ...common, reason: 'no-value', row: '1', firstAt: START + 1, lastAt: START + 1, count: 1 },
      { ...common, reason: 'bad-value', row: '2', firstAt: START, lastAt: START + 1, count: 2 },
    ]);
    t.strictSame((await reader.rejections('house', 1)).rows, rows.slice(0, 1));
    t.strictSame((await reader.rejections('house', 0)).rows, []);
    t.strictSame((await reader.rejections('nobody', 5)).counts, []);
    t.strictSame(await reader.feedStates(), [], 'a rejection makes no state');
    const note: Rejection = { ...rejection('1'), isNote: true };
    t.strictSame(await reject(next, START + 5, note), { added: 0, first: 0 }, 'a note is no refused row');
    const beside = await reader.rejections('house', 10);
    t.match(beside.rows[0], { row: '1', reason: 'bad-value', count: 1, isNote: true }, 'and is kept beside them');
    t.strictSame(beside.counts, [
      { reason: 'bad-value', count: 2, isNote: false },
      { reason: 'bad-value', count: 1, isNote: true },
      { reason: 'no-value', count: 1, isNote: false },
    ]);
  });

  t.test('what a pull did not refuse again is forgotten when it is told to be all', async (t) => {
    const { writer, reader } = await open(t);
    const rows = (...names: string[]): Rejection[] => names.map((row) => ({ reason: 'bad-value', detail: 'd', row }));
    const countOf = async (feed = 'house') =>
      (await reader.rejections(feed, 0)).counts.reduce((sum, { count }) => sum + count, 0);
    const first = await writer.beginPull('house');
    await writer.transaction((tx) => tx.reject(first, rows('a', 'b'), START));
    await writer.transaction(async (tx) => tx.reject(await writer.beginPull('other'), rows('a'), START));
    const second = await writer.beginPull('house');
    await t.rejects(
      writer.transaction(async (tx) => {
        await tx.reject(second, rows('lost'), START + 1);
        throw new Error('cut');
      }),
    );
    await writer.transaction((tx) => tx.reject(second, rows('b'), START + 1));
    t.equal(await countOf(), 2, 'until then nothing is');
    await writer.transaction((tx) => tx.forgetRejections(second));
    t.match((await reader.rejections('house', 10)).rows, [{ row: 'b', count: 2 }]);
    t.equal(await countOf(), 1);
    t.equal(await countOf('other'), 1, 'of its own feed');
    const third = await writer.beginPull('house');
    await writer.transaction((tx) => tx.forgetRejections(third));
    t.equal(await countOf(), 0, 'a pull that refused nothing');
  });

  t.test('of refused rows the newest are kept up to the bound, of the others their number', async (t) => {
    const { writer, reader } = await open(t);
    const rows = (from: number, count: number): Rejection[] =>
      Array.from({ length: count }, (_, i) => ({ reason: 'bad-value', detail: 'd', row: `row ${from + i}` }));
    const pull = await writer.beginPull('house');
    const other = await writer.beginPull('other');
    const reject = (of: Pull, at: number, list: Rejection[]) => writer.transaction((tx) => tx.reject(of, list, at));
    await reject(pull, START, rows(0, MAX_REJECTIONS_PER_FEED - 5));
    await reject(other, START, rows(0, 3));
    await reject(pull, START + 1, rows(0, 1));
    await reject(pull, START + 2, rows(50_000, 15));
    const first = await reader.rejections('house', 50_000);
    t.equal(first.rows.length, MAX_REJECTIONS_PER_FEED);
    t.ok(
      first.rows.some(({ row }) => row === 'row 0'),
      'a row that was seen again is not old',
    );
    t.notOk(first.rows.some(({ row }) => row === 'row 1'));
    t.strictSame(first.counts, [{ reason: 'bad-value', count: MAX_REJECTIONS_PER_FEED + 10, isNote: false }]);
    t.strictSame(await reject(pull, START + 3, rows(100_000, MAX_REJECTIONS_PER_FEED + 7)), {
      added: MAX_REJECTIONS_PER_FEED + 7,
      first: MAX_REJECTIONS_PER_FEED + 7,
    });
    const second = await reader.rejections('house', 50_000);
    t.equal(second.rows.length, MAX_REJECTIONS_PER_FEED);
    t.equal(second.rows[0]?.row, `row ${100_000 + MAX_REJECTIONS_PER_FEED + 6}`);
    t.strictSame(second.counts, [
      { reason: 'bad-value', count: 2 * MAX_REJECTIONS_PER_FEED - 5 + 15 + 7, isNote: false },
    ]);
    t.equal((await reader.rejections('other', 10)).rows.length, 3, 'another feed has its own bound');

    const next = await writer.beginPull('house');
    await reject(next, START + 4, rows(0, MAX_REJECTIONS_PER_FEED));
    await reject(next, START + 4, rows(20_000, 30));
    await writer.transaction((tx) => tx.forgetRejections(next));
    t.strictSame(
      (await reader.rejections('house', 0)).counts,
      [{ reason: 'bad-value', count: MAX_REJECTIONS_PER_FEED + 30, isNote: false }],
      'all that this pull refused, dropped or not, and nothing of the last',
    );
  });

  t.test('a client keeps its rights, the hashes of its keys and its certificates', async (t) => {
    const { writer, reader } = await open(t);
    const client: Client = {
      name: 'blue-team',
      role: 'operator',
      collections: ['all', 'ips'],
      writes: ['drop'],
      tlp: 'amber',
      rate: { max: 600, per: 60_000 },
      createdAt: START,
      revokedAt: null,
      keyHashes: ['a'.repeat(64), 'b'.repeat(64)],
      certificates: ['e'.repeat(64)],
      pathKey: true,
    };
    const other: Client = {
      ...client,
      name: 'a-team',
      role: 'reader',
      collections: null,
      writes: [],
      keyHashes: ['c'.repeat(64)],
      certificates: [],
      pathKey: false,
    };
    await writer.transaction(async (tx) => {
      await tx.saveClient(client);
      await tx.saveClient(other);
    });
    t.strictSame(await reader.clients(), [other, client]);
    const rotated = {
      ...client,
      keyHashes: ['d'.repeat(64)],
      certificates: ['f'.repeat(64), 'f'.repeat(64).replace('f', '0')].sort(),
      revokedAt: START + 1,
      tlp: 'red' as const,
    };
    await writer.transaction((tx) => tx.saveClient(rotated));
    t.strictSame(await reader.clients(), [other, rotated]);
    await t.rejects(
      writer.transaction((tx) => tx.saveClient({ ...client, keyHashes: other.keyHashes })),
      { code: 'store-failed' },
      "nobody gets another client's key",
    );
    await t.rejects(
      writer.transaction((tx) => tx.saveClient({ ...client, keyHashes: ['the key itself'] })),
      { code: 'store-failed' },
      'a key in clear is no hash',
    );
    t.strictSame(await reader.clients(), [other, rotated]);
  });

  t.test('what became of a contribution is kept until it is too old, or one of too many of its client', async (t) => {
    const { writer, reader } = await open(t);
    const contribution = (n: number, at: number, client = 'blue-team'): Contribution => ({
      id: `00000000-0000-4000-8000-00000000000${n}`,
      client,
      at,
      taken: [{ id: 'indicator--1', version: START + n, message: 'NUL \0 and \ud800' }],
      refused: n % 2 === 0 ? [] : [{ id: 'objects[1]', version: null, message: null }],
    });
    const all = [
      contribution(1, START),
      contribution(2, START + 1),
      contribution(3, START + 1),
      contribution(4, START + 2, 'red-team'),
      contribution(5, START + 3),
    ];
    await writer.transaction(async (tx) => {
      for (const one of all) await tx.saveContribution(one);
      t.strictSame(await tx.contribution(all[0]?.id ?? ''), all[0]);
    });
    for (const one of all) t.strictSame(await reader.contribution(one.id), one);
    t.equal(await reader.contribution('unknown'), null);
    await t.rejects(
      writer.transaction((tx) => tx.saveContribution(contribution(1, START + 9))),
      { code: 'store-failed' },
      'an id is given once',
    );
    const kept = async () => {
      const found = await Promise.all(all.map(({ id }) => reader.contribution(id)));
      return found.flatMap((one, i) => (one === null ? [] : i + 1));
    };
    await writer.transaction((tx) => tx.forgetContributions('red-team', START + 1, 10));
    t.strictSame(await kept(), [2, 3, 4, 5], 'old ones of any client go');
    await writer.transaction((tx) => tx.forgetContributions('blue-team', START, 2));
    t.strictSame(await kept(), [3, 4, 5], 'of one client the newest stay; of equal times the one that came last');
    await writer.transaction((tx) => tx.forgetContributions('blue-team', START, 0));
    t.strictSame(await kept(), [4]);
  });

  t.test('a sink finds its checkpoint in each scope', async (t) => {
    const { writer, reader } = await open(t);
    t.equal(await reader.checkpoint('siem', 'pool:main'), null);
    const checkpoint = {
      sink: 'siem',
      scope: 'pool:main',
      dateAdded: START,
      updatedAt: START + 1,
      renewedAt: START + 2,
    };
    await writer.transaction(async (tx) => {
      await tx.saveCheckpoint({ ...checkpoint, dateAdded: 1 });
      await tx.saveCheckpoint(checkpoint);
      await tx.saveCheckpoint({ ...checkpoint, scope: 'pool:other', dateAdded: 2 });
    });
    t.strictSame(await reader.checkpoint('siem', 'pool:main'), checkpoint);
    t.equal((await reader.checkpoint('siem', 'pool:other'))?.dateAdded, 2);
    t.equal(await reader.checkpoint('other', 'pool:main'), null);
    t.strictSame(await reader.checkpoints('siem'), [checkpoint, { ...checkpoint, scope: 'pool:other', dateAdded: 2 }]);
    await writer.transaction((tx) => tx.removeCheckpoint('siem', 'pool:other'));
    t.strictSame(await reader.checkpoints('siem'), [checkpoint]);
    t.strictSame(await reader.checkpoints('other'), []);
  });

  t.test('dead letters are kept once each, listed in order, and removed by name', async (t) => {
    const { writer, reader } = await open(t);
    const letter = (dateAdded: number, attempts = 1): DeadLetter => ({
      sink: 'siem',
      scope: 'pool:main',
      dateAdded,
      objectId: 'indicator--1',
      reason: 'mapper_parsing_exception',
      attempts,
      at: START,
    });
    await writer.transaction((tx) => tx.addDeadLetters([letter(2), letter(1), { ...letter(3), sink: 'other' }]));
    await writer.transaction((tx) => tx.addDeadLetters([letter(2, 5)]));
    t.strictSame(await reader.deadLetters('siem', null, 10), [letter(1), letter(2, 5)]);
    t.strictSame(await reader.deadLetters('siem', null, 1), [letter(1)]);
    t.strictSame(await reader.deadLetters('siem', letter(1), 10), [letter(2, 5)]);
    t.equal(await reader.deadLetterCount('siem'), 2);
    t.equal(await reader.deadLetterCount('nobody'), 0);
    await writer.transaction((tx) => tx.removeDeadLetters('siem', [letter(1), letter(3), letter(9)]));
    t.strictSame(await reader.deadLetters('siem', null, 10), [letter(2, 5)]);
    t.equal((await reader.deadLetters('other', null, 10)).length, 1);
  });
}

function emptyState(feed: string): FeedState {
  return {
    feed,
    cursor: null,
    movedAt: null,
    etag: null,
    lastModified: null,
    bodyHash: null,
    confirmedAt: null,
    succeededAt: null,
    attemptedAt: null,
    nextPollAt: null,
    failures: 0,
    error: null,
    gap: null,
    note: null,
    lapsedAt: null,
    changedAt: null,
    freshUntil: null,
    accepted: 0,
    rejected: 0,
    read: 0,
    split: 0,
    folded: 0,
    filtered: 0,
    gone: 0,
    observations: 0,
    objects: 0,
  };
}
