// slow (8 s): every order and paging of versions, in both profiles
import t, { type Test } from 'tap';
import { MICROS_PER_MS, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import type { Json, JsonObject } from '../../src/model/json.ts';
import { markingId } from '../../src/stix/marking.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { START, uuidOf } from '../helpers/store.ts';
import { indicatorOf, laterOf, startTaxii, type TaxiiServer } from '../helpers/taxii-upstream.ts';
import { UPSTREAM_KEY } from '../helpers/upstream.ts';

const live = (objects: Record<string, any>[]) =>
  objects.filter((o) => o['type'] === 'indicator' && o['revoked'] !== true);

/** A gateway that reads one collection, or two, of scripted servers; pages hold two objects. */
async function openPool(t: Test, { mode = 'delta', profile = 'stix', page = 2, feeds = 1 } = {}) {
  const clock = scriptedClock(START + MICROS_PER_SECOND, { auto: true });
  const servers = await Promise.all(Array.from({ length: feeds }, () => startTaxii(t, { clock })));
  const sections = servers.map(
    ({ url }, i) =>
      `  f${i}: { format: taxii, url: "${url}", internal: true, key: { env: KEY }, collections: [all], mode: ${mode}, page_size: ${page}, lifetime: 365d }`,
  );
  const yaml = `
data: ./data
feeds:
${sections.join('\n')}
pools:
  main: { feeds: [${servers.map((_, i) => `f${i}`).join(', ')}], profile: ${profile} }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4] }
${profile === 'stix' ? '  whole: { pool: main, objects: all }' : ''}
`;
  const gateway = await openGateway(t, t.testdir(), yaml, { clock, env: { KEY: UPSTREAM_KEY } });
  let added = START;
  const add = (server: TaxiiServer, ...objects: Json[]): void => {
    for (const object of objects) {
      added += MICROS_PER_MS + 1;
      server.rows.push({ added, object });
    }
  };
  return { gateway, side: gateway.side, server: servers[0] as TaxiiServer, servers, clock, add };
}

/** An indicator on the same value as another, with an id of its own. */
const alike = (n: number, id: string, minutes = 0, over: JsonObject = {}) =>
  laterOf(n, minutes, { id: `indicator--${uuidOf(id)}`, ...over });

for (const profile of ['stix', 'elastic-agent']) {
  t.test(`${profile}: a later version overwrites and an older one never does, in one page or in many`, async (t) => {
    for (const page of [2, 100]) {
      const { side, server, add, gateway } = await openPool(t, { profile, page });
      add(server, laterOf(1, 5, { confidence: 60 }), laterOf(2, 0), laterOf(3, 0), indicatorOf(1, { confidence: 10 }));
      t.match(await side.poll('f0'), { outcome: 'whole', accepted: 4 });
      const one = live(await readAll(gateway, 'all')).find(({ pattern }) => pattern.includes('host-1.'));
      t.equal(one?.['confidence'], 60);
      add(server, laterOf(1, 9, { confidence: 70 }));
      await side.poll('f0');
      const next = live(await readAll(gateway, 'all')).find(({ pattern }) => pattern.includes('host-1.'));
      t.equal(next?.['confidence'], 70);
    }
  });

  t.test(`${profile}: a revoked version withdraws, and an older unrevoked one does not bring it back`, async (t) => {
    for (const page of [2, 100]) {
      const { side, server, add, gateway } = await openPool(t, { profile, page });
      add(server, laterOf(1, 0), laterOf(2, 0));
      await side.poll('f0');
      add(server, laterOf(1, 5, { revoked: true }), laterOf(3, 0), laterOf(1, 2), laterOf(1, 5));
      t.match(await side.poll('f0'), { withdrawn: profile === 'stix' ? 2 : 1 }, 'from each journal');
      t.equal(live(await readAll(gateway, 'all')).length, 2);
      t.match(await side.poll('f0'), { entries: 0 });
    }
  });

  t.test(`${profile}: of two indicators on a value, one's end is not the other's`, async (t) => {
    for (const page of [2, 100]) {
      const { side, server, add, gateway } = await openPool(t, { profile, page });
      const [a, b] = ['a', 'b'];
      add(server, alike(1, a, 0), laterOf(2, 0), laterOf(3, 0), alike(1, b, 1));
      await side.poll('f0');
      t.equal(live(await readAll(gateway, 'all')).length, 3, 'one of each value');
      add(server, alike(1, b, 2, { revoked: true }));
      await side.poll('f0');
      t.equal(live(await readAll(gateway, 'all')).length, 3, 'the first still says it');
      add(server, alike(1, a, 3, { revoked: true }));
      await side.poll('f0');
      t.equal(live(await readAll(gateway, 'all')).length, 2, 'nobody says it any more');
      add(server, alike(1, 'c', 1));
      await side.poll('f0');
      t.equal(live(await readAll(gateway, 'all')).length, 3, 'a third, however old, says it again');
      add(server, alike(1, 'd', 9, { revoked: true }));
      t.match(await side.poll('f0'), { entries: 0 }, 'the end of one that was never there ends nothing');
    }
  });

  t.test(`${profile}: a generation that follows another on the next page does not fall with it`, async (t) => {
    const { side, server, add, gateway } = await openPool(t, { profile });
    add(server, alike(1, 'old', 0), laterOf(2, 0));
    await side.poll('f0');
    // As Sluice's own profile for Elastic issues them: the new one first, the old one's tombstone right behind.
    add(server, laterOf(3, 0), alike(1, 'new', 5), alike(1, 'old', 5, { revoked: true }), laterOf(4, 0));
    await side.poll('f0');
    t.equal(live(await readAll(gateway, 'all')).length, 4);
  });
}

t.test('an id that names nothing is no reason to keep what is revoked', async (t) => {
  const { side, server, add, gateway } = await openPool(t);
  add(server, laterOf(1, 0, { id: 'ioc-1' }));
  await side.poll('f0');
  t.equal(live(await readAll(gateway, 'all')).length, 1);
  add(server, laterOf(1, 5, { id: 'ioc-1-again', revoked: true }));
  await side.poll('f0');
  t.equal(live(await readAll(gateway, 'all')).length, 0);
});

t.test('a snapshot withdraws what vanished, and what it says in an older version of an object', async (t) => {
  const { side, server, add, gateway } = await openPool(t, { mode: 'snapshot' });
  add(server, laterOf(1, 5, { confidence: 60 }), laterOf(2, 0), laterOf(3, 0));
  await side.poll('f0');
  server.rows = [];
  add(server, laterOf(1, 0, { confidence: 10 }), laterOf(3, 0));
  t.match(await side.poll('f0'), { outcome: 'whole', withdrawn: 2 });
  const now = live(await readAll(gateway, 'all'));
  t.same(now.map(({ confidence }) => confidence).sort(), [10, undefined]);
});

t.test('a snapshot that says things about one value on several pages says nothing new the second time', async (t) => {
  for (const profile of ['stix', 'elastic-agent']) {
    const { side, server, add, gateway } = await openPool(t, { mode: 'snapshot', profile });
    add(server, alike(1, 'a', 0, { confidence: 90 }), laterOf(2, 0), laterOf(3, 0), alike(1, 'b', 5), laterOf(4, 0));
    add(server, alike(5, 'end', 9, { revoked: true }), laterOf(6, 0), alike(5, 'living', 3), laterOf(7, 0));
    await side.poll('f0');
    for (let i = 0; i < 2; i += 1) t.match(await side.poll('f0'), { outcome: 'whole', entries: 0 });
    t.equal(live(await readAll(gateway, 'all')).length, 7);
    server.rows = server.rows.filter(({ object }) => (object as JsonObject)['id'] !== `indicator--${uuidOf('b')}`);
    await side.poll('f0');
    const one = live(await readAll(gateway, 'all')).find(({ pattern }) => pattern.includes('host-1.'));
    t.equal(one?.['confidence'], 90, 'what is left speaks for itself');
    t.notMatch(JSON.stringify(one), uuidOf('b'));
  }
});

t.test('what a snapshot says on two pages loses the half that is gone in the very next pull', async (t) => {
  for (const profile of ['stix', 'elastic-agent']) {
    const { side, server, add, gateway } = await openPool(t, { mode: 'snapshot', profile });
    add(server, alike(1, 'a', 0, { confidence: 90 }), laterOf(2, 0), laterOf(3, 0), alike(1, 'b', 5), laterOf(4, 0));
    await side.poll('f0');
    const one = async () => live(await readAll(gateway, 'all')).find(({ pattern }) => pattern.includes('host-1.'));
    t.match(JSON.stringify(await one()), uuidOf('b'));
    server.rows = server.rows.filter(({ object }) => (object as JsonObject)['id'] !== `indicator--${uuidOf('b')}`);
    await side.poll('f0');
    t.equal((await one())?.['confidence'], 90, 'what is left speaks for itself');
    t.notMatch(JSON.stringify(await one()), uuidOf('b'));
    t.match(await side.poll('f0'), { outcome: 'whole', entries: 0 });
  }
});

const sdo = (type: string, id: string, over: JsonObject = {}): JsonObject => ({
  type,
  spec_version: '2.1',
  id: `${type}--${uuidOf(id)}`,
  created: '2025-11-01T00:00:00.000Z',
  modified: '2025-11-01T00:00:00.000Z',
  name: id,
  ...over,
});
const link = (id: string, source: unknown, target: unknown): JsonObject =>
  sdo('relationship', id, {
    relationship_type: 'indicates',
    source_ref: source as string,
    target_ref: target as string,
    name: 'link',
  });

t.test('a relation to a merged indicator is served with the id of what it was merged into, over TAXII', async (t) => {
  for (const page of [2, 100]) {
    const { side, server, add, gateway } = await openPool(t, { page });
    const malware = sdo('malware', 'emotet', { is_family: true });
    const complex = indicatorOf(7, { pattern: "[mutex:name = 'x'] AND [file:name = 'y']" });
    const merged = indicatorOf(1);
    const sighting = sdo('sighting', 'seen', { sighting_of_ref: merged['id'] as string });
    add(server, malware, complex, merged, link('verbatim', complex['id'], malware['id']));
    add(
      server,
      link('merged', merged['id'], malware['id']),
      sighting,
      link('cve', malware['id'], `vulnerability--${uuidOf('v')}`),
    );
    t.match(await side.poll('f0'), { outcome: 'whole', accepted: 7, rejected: 0 });
    const whole = await readAll(gateway, 'whole');
    const [one] = live(whole).filter(({ pattern }) => pattern.includes('host-1.'));
    const ends = Object.fromEntries(
      whole.map(({ id, source_ref, sighting_of_ref }) => [id, source_ref ?? sighting_of_ref]),
    );
    t.equal(ends[`relationship--${uuidOf('verbatim')}`], complex['id']);
    t.equal(ends[`relationship--${uuidOf('merged')}`], one?.['id']);
    t.equal(ends[sighting['id'] as string], one?.['id']);
    t.notOk(`relationship--${uuidOf('cve')}` in ends, 'its vulnerability never came');
    t.match(await side.poll('f0'), { entries: 0 });
  }
});

t.test('objects follow their versions, and what is revoked leaves when its time is over', async (t) => {
  const { side, server, add, gateway, clock } = await openPool(t);
  const tool = (modified: string, over: JsonObject = {}) => sdo('tool', 'tool', { modified, ...over });
  const nameNow = async () => (await readAll(gateway, 'whole')).find(({ type }) => type === 'tool');
  add(server, tool('2025-11-03T00:00:00.000Z', { name: 'third' }), laterOf(1, 0), tool('2025-11-02T00:00:00.000Z'));
  await side.poll('f0');
  t.match(await nameNow(), { name: 'third' });
  add(server, tool('2025-11-04T00:00:00.000Z', { revoked: true }));
  await side.poll('f0');
  t.match(await nameNow(), { revoked: true });
  await clock.advance(31 * 86_400_000);
  await side.tick();
  t.equal(await nameNow(), undefined);
});

t.test('nothing from upstream replaces what Sluice itself says of TLP and of who it is', async (t) => {
  const { side, server, add, gateway } = await openPool(t);
  const before = await readAll(gateway, 'whole');
  const us = before.find(({ type }) => type === 'identity');
  const tlp = before.find(({ id }) => id === markingId('green'));
  add(server, { ...us, name: 'Somebody else', modified: '2030-01-01T00:00:00.000Z' } as JsonObject);
  add(server, { ...tlp, name: 'TLP:CLEAR' } as JsonObject, laterOf(1, 0));
  await side.poll('f0');
  const after = await readAll(gateway, 'whole');
  t.same(after.slice(0, before.length), before);
  t.same(
    after.slice(before.length).map(({ type }) => type),
    ['indicator'],
  );
});

for (const profile of ['stix', 'elastic-agent']) {
  t.test(`${profile}: statement markings of every source stay when sources merge, and can be read`, async (t) => {
    const { side, servers, add, gateway } = await openPool(t, { profile, feeds: 2, page: 100 });
    const statement = (id: string) => {
      const { modified: _, ...marking } = sdo('marking-definition', id, {
        definition_type: 'statement',
        definition: { statement: `Copyright ${id}` },
      });
      return marking as JsonObject;
    };
    const [acme, beta] = [statement('acme'), statement('beta')];
    const marked = (...refs: unknown[]) =>
      laterOf(1, 0, { indicator_types: ['benign'], lang: 'en', object_marking_refs: refs as string[] });
    const refsOf = async (): Promise<string[]> =>
      live(await readAll(gateway, 'all')).find(({ pattern }) => pattern.includes('host-1.'))?.['object_marking_refs'];
    add(servers[0] as TaxiiServer, acme, marked(acme['id'], markingId('green')));
    await side.poll('f0');
    t.same(await refsOf(), [markingId('green'), acme['id']]);
    add(servers[1] as TaxiiServer, beta, marked(beta['id'], markingId('green')));
    await side.poll('f1');
    t.same(await refsOf(), [markingId('green'), ...[acme['id'], beta['id']].sort()]);
    for (const collection of ['all', 'ips']) {
      const objects = await readAll(gateway, collection);
      const ids = objects.map(({ id }) => id);
      t.ok(ids.includes(acme['id']) && ids.includes(beta['id']), `${collection} holds the definitions`);
      t.equal(new Set(ids).size, ids.length);
    }
    const text = JSON.stringify(await readAll(gateway, 'all'));
    t.match(text, /Copyright acme/);
    const raw = await gateway.app.inject({
      url: '/api/taxii2/api/collections/all/objects/?match[type]=indicator',
      headers: { authorization: `Bearer ${gateway.key}` },
    });
    const liveText = raw.body.split('"type":"indicator"').filter((part) => !part.includes('"revoked":true'));
    for (const part of liveText.slice(1)) t.equal(part.split('"object_marking_refs"').length, 2, 'the property once');
  });
}
