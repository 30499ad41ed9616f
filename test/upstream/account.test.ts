import t from 'tap';
import type { AccountLimits, ConfiguredFeed, FeedAccount } from '../../src/feeds/feed.ts';
import { Secret } from '../../src/model/secret.ts';
import { accountNameOf, accountsOf } from '../../src/upstream/account.ts';
import { createDispatchers } from '../../src/upstream/dispatcher.ts';
import { limitRate } from '../../src/writer/start-worker.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { START } from '../helpers/store.ts';

const free: AccountLimits = { minInterval: 0, windows: [{ seconds: 60, requests: 10 }] };

function feed(origin: string | null, key: string | null, more: Partial<FeedAccount> & { internal?: boolean } = {}) {
  const { internal = false, ...account } = more;
  const full =
    origin === null ? null : { origin, key: key === null ? null : new Secret(key), limits: free, ...account };
  const upstream = { internal, proxy: 'off', refreshOnRead: true };
  return {
    definition: { name: 'f' },
    format: { account: () => full },
    options: {},
    upstream,
  } as unknown as ConfiguredFeed;
}

t.test(
  'feeds with one key at one site share an account under all host names; without a key the account is the origin',
  async (t) => {
    const name = (...args: Parameters<typeof feed>) => accountNameOf(feed(...args));
    const known = name('https://socdefenders.ai', 'k1');
    t.equal(name('https://www.socdefenders.ai', 'k1'), known);
    t.equal(name('https://www.socdefenders.ai:8443', 'k1'), known);
    t.not(name('https://socdefenders.ai', 'k2'), known, 'another key');
    t.not(name('https://socdefenders.org', 'k1'), known, 'another site');
    t.not(name('https://a.github.io', 'k1'), name('https://b.github.io', 'k1'), 'customers of one host are two sites');
    t.equal(name('https://lists.example', null), 'https://lists.example');
    t.equal(name(null, null), null);
    t.notMatch(known, /k1/);
  },
);

t.test('feeds on one account share the strictest of what their plans allow', async (t) => {
  const pro = {
    minInterval: 250,
    windows: [
      { seconds: 60, requests: 100 },
      { seconds: 86_400, requests: 1000 },
    ],
  };
  const accounts = accountsOf([
    feed('https://a.example', 'k', { limits: pro }),
    feed('https://www.a.example', 'k'),
    feed('https://b.example', null),
    feed(null, null),
  ]);
  t.equal(accounts.size, 2);
  t.strictSame(accounts.get(accountNameOf(feed('https://a.example', 'k')) ?? '')?.limits, {
    minInterval: 250,
    windows: [
      { seconds: 60, requests: 10 },
      { seconds: 86_400, requests: 1000 },
    ],
  });
});

t.test(
  'feeds that are reached in the same way share a dispatcher; an internal feed shares with no other',
  async (t) => {
    const dispatchers = createDispatchers(undefined);
    t.teardown(() => dispatchers.close());
    const inside = dispatchers.of(feed('https://intel.corp', null, { internal: true }));
    const outside = dispatchers.of(feed('https://intel.corp', null));
    t.not(inside.plain, outside.plain);
    t.equal(dispatchers.of(feed('https://lists.example', 'k')).plain, outside.plain);
    t.not(dispatchers.of(feed('https://other.corp', null, { internal: true })).plain, inside.plain);
    t.equal(outside.certified, null);
    const tls = { ca: new Secret('-----BEGIN CERTIFICATE-----') };
    const certified = dispatchers.of(feed('https://intel.corp', null, { tls }));
    t.equal(certified.plain, outside.plain);
    t.ok(certified.certified !== null && certified.certified !== outside.plain);
    t.equal(
      new Set([inside.key, outside.key, certified.key]).size,
      3,
      'nor is a request of one ever answered by another’s',
    );
  },
);

t.test('however many readers there are, the writer hears of a journal every ten seconds at most', async (t) => {
  const clock = scriptedClock(START);
  const heard: string[] = [];
  const touch = limitRate(clock, (journal) => heard.push(journal));
  for (let i = 0; i < 1000; i += 1) touch('pool:main');
  touch('pool:other');
  t.strictSame(heard, ['pool:main', 'pool:other']);
  await clock.advance(9999);
  touch('pool:main');
  t.equal(heard.length, 2);
  await clock.advance(1);
  touch('pool:main');
  t.equal(heard.length, 3);
  clock.set(START - 1_000_000_000);
  touch('pool:main');
  t.equal(heard.length, 4, 'a clock set back silences nobody');
});
