import t from 'tap';
import { collection } from '../../src/feeds/collection.ts';
import type { ConfiguredFeed } from '../../src/feeds/feed.ts';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { followContributions } from '../../src/writer/contributed-feeds.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openContributing } from '../helpers/contributing.ts';
import { readAll } from '../helpers/gateway.ts';
import { stixIndicator } from '../helpers/indicator.ts';
import { feed } from '../helpers/journals.ts';
import { START, uuidOf } from '../helpers/store.ts';

const yaml = `
data: ./data
feeds: { team: { format: collection, collection: drop, tlp: green, confidence: 60 } }
pools: { main: { feeds: [team] } }
collections:
  all: { pool: main, objects: all } # a journal of its own
  drop: { contributed: true }
`;
const ip = (n: number) => `[ipv4-addr:value = '198.51.100.${n}']`;
const valuesOf = (objects: Record<string, any>[]) =>
  objects.filter(({ type, revoked }) => type === 'indicator' && !revoked).map(({ name }) => name);

t.test('what is contributed reaches a pool, and leaves it when it is removed', async (t) => {
  const clock = scriptedClock(START);
  const gateway = await openContributing(t, { yaml, clock });
  const { post, ask, side } = gateway;
  const malware = {
    type: 'malware',
    spec_version: '2.1',
    id: `malware--${uuidOf('m')}`,
    created: '2026-01-01T00:00:00.000Z',
    modified: '2026-01-01T00:00:00.000Z',
    name: 'Gullwing',
    is_family: true,
  };
  await post([stixIndicator(1, ip(1)), stixIndicator(2, ip(2)), malware]);
  t.match(
    await side.poll('team'),
    { outcome: 'whole', accepted: 3, entries: 5 },
    'in the journal of the pool and that of all',
  );
  const served = await readAll(gateway, 'all');
  t.strictSame(valuesOf(served).sort(), ['198.51.100.1', '198.51.100.2']);
  t.match(
    served.find(({ name }) => name === '198.51.100.1'),
    {
      confidence: 60,
      external_references: [{ external_id: stixIndicator(1, ip(1)).id }],
    },
  );
  t.match(
    served.find(({ type }) => type === 'malware'),
    malware,
  );

  t.match(await side.poll('team'), { outcome: 'unchanged' }, 'what did not change is not read again');
  const { id } = stixIndicator(1, ip(1));
  t.equal((await ask('DELETE', `/collections/drop/objects/${id}/`)).statusCode, 200);
  t.match(await side.poll('team'), { outcome: 'whole', withdrawn: 2 });
  t.strictSame(valuesOf(await readAll(gateway, 'all')), ['198.51.100.2']);

  const later = { ...stixIndicator(2, ip(2)), modified: '2026-01-02T00:00:00.000Z', revoked: true };
  await post([later]);
  t.match(await side.poll('team'), { outcome: 'whole', withdrawn: 2 }, 'a version that is revoked withdraws as well');
  await ask('DELETE', `/collections/drop/objects/${malware.id}/`);
  await ask('DELETE', `/collections/drop/objects/${later.id}/`);
  t.match(await side.poll('team'), { outcome: 'whole', accepted: 0 }, 'an empty collection is believed');
});

t.test('a feed is polled a second after its collection changed, without being told', async (t) => {
  const clock = scriptedClock(START);
  const gateway = await openContributing(t, { yaml, clock });
  await gateway.post([stixIndicator(1, ip(1))]);
  t.strictSame(valuesOf(await readAll(gateway, 'all')), []);
  await clock.advance(1000);
  // The poll has begun: whoever polls now waits for it.
  await gateway.side.poll('team');
  t.strictSame(valuesOf(await readAll(gateway, 'all')), ['198.51.100.1']);
});

t.test(
  'changes within a second are one poll, those during a poll another, and long polls are followed by a rest',
  async (t) => {
    const clock = scriptedClock(START);
    const polled: string[] = [];
    let take = 0;
    const one = (name: string, drop: string): ConfiguredFeed => ({
      definition: feed(name, { format: 'collection' }),
      format: collection,
      options: { collection: drop },
      upstream: { internal: false, proxy: 'off', refreshOnRead: false },
    });
    const errors: unknown[] = [];
    const stop = new AbortController();
    const follow = followContributions([one('a', 'drop'), one('b', 'drop'), one('c', 'other')], {
      clock,
      async pollAnew(name) {
        polled.push(`${name} ${(clock.now() - START) / MICROS_PER_SECOND}`);
        if (take > 0) await clock.sleep(take);
        if (name === 'c') throw new Error('down');
      },
      onError: (error) => errors.push((error as Error).message),
      signal: stop.signal,
    });
    follow('drop');
    await clock.advance(900);
    follow('drop');
    await clock.advance(100);
    t.strictSame(polled.splice(0), ['a 1', 'b 1']);
    take = 2000;
    follow('drop');
    await clock.advance(1000);
    follow('drop');
    await clock.advance(2000);
    t.strictSame(polled.splice(0), ['a 2', 'b 2', 'a 3', 'b 3']);
    follow('drop');
    await clock.advance(7000);
    t.strictSame(polled.splice(0), []);
    await clock.advance(1000);
    t.equal(polled.splice(0).length, 2, 'four times as long as the poll took');
    take = 0;
    follow('other');
    await clock.advance(1000);
    t.strictSame(errors, ['down']);
    follow('other');
    await clock.advance(1000);
    t.strictSame(polled, ['c 13', 'c 14'], 'a poll that failed is tried again at the next change');
    follow('drop');
    stop.abort();
    await clock.advance(10_000);
    t.equal(polled.length, 2);
    t.strictSame(errors, ['down', 'down']);
  },
);
