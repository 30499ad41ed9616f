import type { Test } from 'tap';
import type { ObservableType } from '../../../src/model/observable.ts';
import type { StoreEngine } from '../../../src/store/engine.ts';
import { scriptedClock } from '../../helpers/clock.ts';
import { observation, openTemporaryStore, START } from '../../helpers/store.ts';

/** Observations by the network or the domain that their host lies in. */
export async function proveRanges(t: Test, engine: StoreEngine): Promise<void> {
  const open = async (t: Test, ...observables: [ObservableType, string][]) => {
    const { writer } = await openTemporaryStore(t, scriptedClock(START), engine);
    const said = observables.map(([type, value]) => observation({ type, value }));
    await writer.transaction(async (tx) => {
      await tx.observe(await writer.beginPull('one'), said);
      await tx.observe(await writer.beginPull('two'), said.slice(0, 3));
    });
    const valueByKey = new Map(said.map(({ key, observable }) => [key, observable.value]));
    const walk = (method: 'keysWithin' | 'keysUnder', range: string, limit: number) =>
      writer.transaction(async (tx) => {
        const keys: string[] = [];
        for (;;) {
          const page = await tx[method](range, keys.at(-1) ?? null, limit);
          if (page.length > limit) throw new Error('more than the limit');
          if (page.length === 0) return keys;
          keys.push(...page);
        }
      });
    /** Values that lie in the range, sorted; the same in pages of any size, each key once and ascending. */
    const find = async (method: 'keysWithin' | 'keysUnder', range: string) => {
      const keys = await walk(method, range, 1000);
      t.strictSame(await walk(method, range, 1), keys, `${range}, one at a time`);
      t.strictSame([...new Set(keys)].sort(), keys, `${range}, ascending`);
      return keys.map((key) => valueByKey.get(key)).sort();
    };
    return { writer, find, said };
  };

  t.test('a network holds its addresses, the networks inside of it and URLs of such hosts', async (t) => {
    const { find } = await open(
      t,
      ['ipv4', '198.51.100.0'],
      ['ipv4', '198.51.100.255'],
      ['ipv4', '198.51.100.128/25'],
      ['ipv4', '198.51.100.0/24'],
      ['ipv4', '198.51.0.0/16'],
      ['ipv4', '198.51.99.255'],
      ['ipv4', '198.51.101.0'],
      ['url', 'http://198.51.100.7:8080/a'],
      ['url', 'https://198.51.101.7/198.51.100.7'],
      ['domain', '100.51.198.example'],
      ['md5', 'c6336400c6336400c6336400c6336400'],
    );
    t.strictSame(await find('keysWithin', '198.51.100.0/24'), [
      '198.51.100.0',
      '198.51.100.0/24',
      '198.51.100.128/25',
      '198.51.100.255',
      'http://198.51.100.7:8080/a',
    ]);
    t.strictSame(await find('keysWithin', '198.51.100.128/25'), ['198.51.100.128/25', '198.51.100.255']);
    t.strictSame(await find('keysWithin', '198.51.100.0'), ['198.51.100.0'], 'an address is a network of one');
    t.strictSame(await find('keysWithin', '198.51.100.254/31'), ['198.51.100.255'], 'at the edge of an octet');
    t.strictSame(await find('keysWithin', '198.48.0.0/13'), [
      '198.51.0.0/16',
      '198.51.100.0',
      '198.51.100.0/24',
      '198.51.100.128/25',
      '198.51.100.255',
      '198.51.101.0',
      '198.51.99.255',
      'http://198.51.100.7:8080/a',
      'https://198.51.101.7/198.51.100.7',
    ]);
    t.strictSame(await find('keysWithin', '203.0.113.0/24'), []);
    t.equal((await find('keysWithin', '128.0.0.0/1')).length, 9);
  });

  t.test('IPv6 networks likewise, and neither family lies in the other', async (t) => {
    const { find } = await open(
      t,
      ['ipv6', '2001:db8::1'],
      ['ipv6', '2001:db8:0:0:ffff:ffff:ffff:ffff'],
      ['ipv6', '2001:db8:0:1::/64'],
      ['ipv6', '2001:db8::/32'],
      ['ipv6', '2001:db9::1'],
      ['ipv4', '32.1.13.184'],
      ['url', 'http://[2001:db8::7]:443/'],
    );
    t.strictSame(await find('keysWithin', '2001:db8::/64'), [
      '2001:db8:0:0:ffff:ffff:ffff:ffff',
      '2001:db8::1',
      'http://[2001:db8::7]:443/',
    ]);
    t.strictSame(await find('keysWithin', '2001:db8::/63'), [
      '2001:db8:0:0:ffff:ffff:ffff:ffff',
      '2001:db8:0:1::/64',
      '2001:db8::1',
      'http://[2001:db8::7]:443/',
    ]);
    t.equal((await find('keysWithin', '2001:db8::/32')).length, 5);
    t.strictSame(await find('keysWithin', '2001:db8::1'), ['2001:db8::1']);
    t.strictSame(await find('keysWithin', '32.0.0.0/8'), ['32.1.13.184']);
  });

  t.test('a domain holds the names below it, and URLs and e-mail addresses there', async (t) => {
    const { find } = await open(
      t,
      ['domain', 'example.com'],
      ['domain', 'a.example.com'],
      ['domain', 'b.a.example.com'],
      ['domain', 'badexample.com'],
      ['domain', 'example.com.evil.test'],
      ['domain', 'example-com.com'],
      ['domain', 'com'],
      ['url', 'https://a.example.com:8443/x'],
      ['url', 'https://user@example.com/'],
      ['url', 'https://evil.test/example.com'],
      ['email', 'who@example.com'],
      ['email', 'example.com@evil.test'],
      ['file-name', 'example.com'],
    );
    t.strictSame(await find('keysUnder', 'example.com'), [
      'a.example.com',
      'b.a.example.com',
      'example.com',
      'https://a.example.com:8443/x',
      'https://user@example.com/',
      'who@example.com',
    ]);
    t.strictSame(await find('keysUnder', 'a.example.com'), [
      'a.example.com',
      'b.a.example.com',
      'https://a.example.com:8443/x',
    ]);
    t.strictSame(await find('keysUnder', 'test'), [
      'example.com.evil.test',
      'example.com@evil.test',
      'https://evil.test/example.com',
    ]);
    t.strictSame(await find('keysUnder', 'ample.com'), []);
  });

  t.test('what is no longer said lies nowhere', async (t) => {
    const { writer, find, said } = await open(t, ['ipv4', '192.0.2.1'], ['domain', 'a.example']);
    await writer.transaction((tx) =>
      tx.removeObservations(
        'one',
        said.map(({ key }) => key),
      ),
    );
    t.strictSame(await find('keysWithin', '192.0.2.0/24'), ['192.0.2.1'], 'another feed says it');
    await writer.transaction((tx) => tx.removeFeed('two'));
    t.strictSame([await find('keysWithin', '192.0.2.0/24'), await find('keysUnder', 'a.example')], [[], []]);
  });
}
