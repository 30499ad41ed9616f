// slow (8 s): the TAXII servers of other makers
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { makeCertificates } from '../helpers/certificates.ts';
import { type ScriptedClock, scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll, type TestGateway } from '../helpers/gateway.ts';
import { startPython } from '../helpers/python.ts';
import { START, uuidOf } from '../helpers/store.ts';
import { indicatorOf, laterOf, startTaxii } from '../helpers/taxii-upstream.ts';
import { UPSTREAM_KEY } from '../helpers/upstream.ts';

/** What readers would act on: the live indicators, as far as one server hands them to the next. */
async function liveOf(gateway: TestGateway): Promise<string[]> {
  const objects = await readAll(gateway, 'all');
  return objects
    .filter((o) => o['type'] === 'indicator' && o['revoked'] !== true)
    .map((o) => `${o['pattern']} ${o['confidence']} ${o['object_marking_refs']}`)
    .sort();
}

async function openReader(t: Test, feed: string, clock: ScriptedClock, env: Record<string, string>, format = 'taxii') {
  const dir = join(t.testdirName, 'reader');
  mkdirSync(dir, { recursive: true });
  const yaml = `
data: ./data
feeds:
  up: { format: ${format}, every: 1m, ${feed} }
pools: { main: { feeds: [up] } }
collections: { all: { pool: main } }
`;
  return openGateway(t, dir, yaml, { clock, env });
}

for (const profile of ['stix', 'elastic-agent']) {
  for (const mode of ['delta', 'snapshot']) {
    t.test(`Sluice reads Sluice: ${profile} by ${mode}, the live sets stay equal through every change`, async (t) => {
      const dir = t.testdir({ one: {} });
      const clock = scriptedClock(START, { auto: true });
      const source = await openGateway(
        t,
        dir,
        `
data: ./data
feeds: { one: { format: stix, path: ./one, every: 1m, tlp: green, shrink_guard: 'off', empty_allowed: true } }
pools: { main: { feeds: [one], profile: ${profile} } }
collections: { all: { pool: main } }
`,
        { clock },
      );
      let stamp = 1_700_000_000;
      const publish = async (objects: object[]): Promise<void> => {
        const file = join(dir, 'one', 'bundle.json');
        writeFileSync(file, JSON.stringify({ type: 'bundle', objects }));
        stamp += 1;
        utimesSync(file, stamp, stamp);
        t.match(await source.side.poll('one'), { outcome: 'whole' });
      };
      const url = await source.listen();
      const feed = `url: "${url}", internal: true, key: { env: KEY }, collections: [all], page_size: 7, mode: ${mode}, shrink_guard: 'off'`;
      const reader = await openReader(t, feed, clock, { KEY: source.key });
      const equal = async (what: string): Promise<void> => {
        t.match(await reader.side.poll('up'), { outcome: 'whole', error: null }, what);
        const [theirs, ours] = [await liveOf(source), await liveOf(reader)];
        t.same(ours, theirs, what);
        t.match(
          await reader.side.poll('up'),
          { outcome: 'whole', entries: 0 },
          `${what}; a poll without news says nothing`,
        );
      };
      const range = (from: number, to: number, over = {}) =>
        Array.from({ length: to - from }, (_, i) => indicatorOf(from + i, { confidence: 50, ...over }));
      await publish(range(0, 40));
      await equal('at first');
      t.equal((await liveOf(reader)).length, 40);
      await clock.advance(60_000);
      await publish(range(0, 60));
      await equal('rows that are new');
      await clock.advance(60_000);
      await publish([...range(0, 20, { confidence: 80 }), ...range(20, 60)]);
      await equal('rows that changed');
      await clock.advance(60_000);
      await publish([...range(0, 10, { confidence: 80 }), ...range(25, 60)]);
      await equal('rows that vanished');
      t.equal((await liveOf(reader)).length, 45);
      await clock.advance(60_000);
      await publish(range(0, 61, { confidence: 60 }));
      await equal('rows that came back');
      await clock.advance(22 * 86_400_000);
      await source.side.tick();
      await reader.side.tick();
      await equal('rows that were issued anew by age');
    });
  }
}

t.test('Sluice reads Sluice over REST as it reads SOC Defenders: windows, offsets, totals and rate', async (t) => {
  const dir = t.testdir({ one: {} });
  const clock = scriptedClock(START, { auto: true });
  const source = await openGateway(
    t,
    dir,
    `
data: ./data
feeds: { one: { format: stix, path: ./one, mode: delta, every: 1m, tlp: green } }
pools: { main: { feeds: [one] } }
collections: { all: { pool: main } }
`,
    { clock },
  );
  const publish = async (name: string, objects: object[]): Promise<void> => {
    writeFileSync(join(dir, 'one', name), JSON.stringify({ type: 'bundle', objects }));
    t.match(await source.side.poll('one'), { outcome: 'whole' });
  };
  const url = await source.listen();
  const feed = `plan: pro, url: "${url}", internal: true, key: { env: KEY }, page_size: 100`;
  const reader = await openReader(t, feed, clock, { KEY: source.key }, 'socdefenders');
  const patternsOf = async (gateway: TestGateway): Promise<string[]> =>
    (await liveOf(gateway)).map((line) => line.split('] ')[0] as string).sort();
  const equal = async (count: number): Promise<void> => {
    const report = await reader.side.poll('up');
    t.match(report, { outcome: 'whole', error: null, rejected: 0 });
    const theirs = await patternsOf(source);
    t.equal(theirs.length, count);
    t.same(await patternsOf(reader), theirs);
  };
  const range = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, i) => indicatorOf(from + i, { confidence: 50 }));
  await publish('a.json', range(0, 1500));
  await clock.advance(3_600_000);
  await publish('b.json', range(1500, 2300));
  await equal(2300);
  await clock.advance(600_000);
  await publish('c.json', range(2300, 2350));
  await equal(2350);
  const [account] = (await reader.side.status()).accounts;
  t.ok((account?.requests ?? 0) < 150, `${account?.requests} requests, though the rows lie in two bursts of a month`);
  t.equal(account?.blockedUntil, null, 'and never one too many');
});

const MEDALLION = 'b0d6ad47-4ee4-4d39-8d7e-4a5e7a5e0a11';

/** The OASIS reference server on a free port; null, with the skip said, where it can't be installed. */
async function startMedallion(t: Test): Promise<string | null> {
  const dir = t.testdir({});
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const media = 'application/stix+json;version=2.1';
  const objects = Array.from({ length: 25 }, (_, n) => indicatorOf(n));
  const data = {
    // As it often stands in the field: the root tells a name that readers don't come by.
    '/discovery': {
      title: 'medallion',
      default: 'http://localhost:5000/api1/',
      api_roots: ['http://localhost:5000/api1/'],
    },
    api1: {
      information: { title: 'One', versions: ['application/taxii+json;version=2.1'], max_content_length: 9_000_000 },
      status: [],
      collections: [
        {
          id: MEDALLION,
          title: 'Reference',
          can_read: true,
          can_write: true,
          media_types: [media],
          objects,
          manifest: objects.map((object, n) => ({
            id: object['id'],
            date_added: `2025-12-0${1 + (n % 5)}T00:00:00.0000${String(n).padStart(2, '0')}Z`,
            version: object['modified'],
            media_type: media,
          })),
        },
        { id: `${MEDALLION.slice(0, -1)}2`, title: 'Closed', can_read: false, can_write: false, media_types: [media] },
      ],
    },
  };
  const config = {
    backend: {
      module: 'medallion.backends.memory_backend',
      module_class: 'MemoryBackend',
      filename: join(dir, 'data.json'),
    },
    users: { reader: 'a pass:word' },
    taxii: { max_page_size: 10 },
  };
  writeFileSync(join(dir, 'data.json'), JSON.stringify(data));
  writeFileSync(join(dir, 'config.json'), JSON.stringify(config));
  const args = ['-m', 'medallion.scripts.run', '--host', '127.0.0.1', '--port', String(port), join(dir, 'config.json')];
  const server = await startPython(t, args);
  if (server === null) return null;
  for (let tries = 0; tries < 600; tries += 1) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      return url;
    await wait(50);
  }
  throw new Error(`medallion did not start: ${server.stderr()}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

t.test('Sluice reads the OASIS reference server: discovery, pages, news, changes, revocations', async (t) => {
  const url = await startMedallion(t);
  if (url === null) return;
  const clock = scriptedClock(START, { auto: true });
  const feed = `url: "${url}", internal: true, user: reader, key: { env: KEY }, collections: [reference], lifetime: 3650d`;
  const reader = await openReader(t, feed, clock, { KEY: 'a pass:word' });
  t.match(await reader.side.poll('up'), { outcome: 'whole', accepted: 25, rejected: 0, error: null });
  t.equal((await liveOf(reader)).length, 25);
  const media = 'application/taxii+json;version=2.1';
  const post = async (objects: object[]): Promise<void> => {
    const reply = await fetch(`${url}/api1/collections/${MEDALLION}/objects/`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from('reader:a pass:word').toString('base64')}`,
        accept: media,
        'content-type': media,
      },
      body: JSON.stringify({ objects }),
    });
    t.equal(reply.status, 202);
  };
  await post([laterOf(0, 5, { revoked: true }), laterOf(1, 5, { confidence: 77 }), indicatorOf(100)]);
  t.match(await reader.side.poll('up'), { outcome: 'whole', withdrawn: 1, entries: 3 });
  const live = await liveOf(reader);
  t.equal(live.length, 25);
  t.ok(live.some((line) => line.includes('host-1.example.com') && line.includes(' 77 ')));
  t.notOk(live.some((line) => line.includes("'host-0.example.com'")));
  t.match(await reader.side.poll('up'), { outcome: 'whole', entries: 0 });
});

t.test('a server that wants a client certificate gets it, and only there', async (t) => {
  const dir = t.testdir({});
  const made = makeCertificates(t, join(dir, 'tls'));
  if (made === null) return;
  const clock = scriptedClock(START + MICROS_PER_SECOND, { auto: true });
  const tls = { key: made.read('server.key'), cert: made.read('server.crt') };
  const strict = { ...tls, ca: made.read('ca.crt'), requestCert: true, rejectUnauthorized: true };
  const server = await startTaxii(t, { clock, tls: strict });
  server.rows = [{ added: START, object: indicatorOf(1) }];
  const feed = (files: string) =>
    `url: "${server.url}", internal: true, key: { env: KEY }, collections: [all], tls: ${files}`;
  const [ca, pair] = [
    'ca: { file: ../tls/ca.crt }',
    'cert: { file: ../tls/client.crt }, key: { file: ../tls/client.key }',
  ];

  const reader = await openReader(t, feed(`{ ${ca}, ${pair} }`), clock, { KEY: UPSTREAM_KEY });
  t.match(await reader.side.poll('up'), { outcome: 'whole', accepted: 1, error: null });
  t.same([...new Set(server.requests.map(({ subject }) => subject))], ['client']);

  const other = await startTaxii(t, {
    clock,
    tls: { ...tls, ca: strict.ca, requestCert: true, rejectUnauthorized: false },
  });
  server.down = (_message, reply) => {
    reply.writeHead(302, { location: `${other.url}/taxii2/` }).end();
  };
  const report = await reader.side.poll('up');
  t.equal(report.outcome, 'failed');
  t.equal(other.requests.length, 0, 'another port is another server');
});

t.test('what is no indicator goes from Sluice to Sluice as it came, but for what each says of itself', async (t) => {
  const dir = t.testdir({ one: {} });
  const clock = scriptedClock(START, { auto: true });
  const yaml = (feed: string) => `
data: ./data
feeds: { one: { ${feed} } }
pools: { main: { feeds: [one] } }
collections: { all: { pool: main, objects: all } }
`;
  const source = await openGateway(t, dir, yaml('format: stix, path: ./one, tlp: green'), { clock });
  const times = { spec_version: '2.1', created: '2025-11-01T00:00:00.000Z', modified: '2025-11-01T00:00:00.000Z' };
  const malware = { type: 'malware', id: `malware--${uuidOf('m')}`, is_family: false, name: 'm', ...times };
  const complex = indicatorOf(2, { pattern: "[mutex:name = 'x'] AND [file:name = 'y']" });
  const link = {
    type: 'relationship',
    id: `relationship--${uuidOf('r')}`,
    relationship_type: 'indicates',
    source_ref: complex['id'],
    target_ref: malware.id,
    ...times,
  };
  const observable = { type: 'ipv4-addr', spec_version: '2.1', id: `ipv4-addr--${uuidOf('i')}`, value: '198.51.100.7' };
  const publish = async (objects: object[]): Promise<void> => {
    writeFileSync(join(dir, 'one', `${objects.length}.json`), JSON.stringify({ type: 'bundle', objects }));
    t.match(await source.side.poll('one'), { outcome: 'whole' });
  };
  await publish([malware, complex, link, observable, indicatorOf(1)]);
  mkdirSync(join(dir, 'reader'));
  const url = await source.listen();
  const feed = `format: taxii, url: "${url}", internal: true, key: { env: KEY }, collections: [all], page_size: 2, tlp: green`;
  const reader = await openGateway(t, join(dir, 'reader'), yaml(feed), { clock, env: { KEY: source.key } });
  t.match(await reader.side.poll('one'), { outcome: 'whole', rejected: 0, error: null });
  const ours = await readAll(reader, 'all');
  for (const object of [malware, complex, link, observable]) {
    t.same(
      ours.filter(({ id }) => id === object['id']),
      [object],
    );
  }
  const idsOf = (objects: Record<string, any>[], type: string) =>
    objects.filter((o) => o['type'] === type).map(({ id }) => id);
  const theirs = await readAll(source, 'all');
  t.same(idsOf(ours, 'marking-definition'), idsOf(theirs, 'marking-definition'), 'TLP once');
  t.equal(idsOf(ours, 'identity').length, 2, 'who says it here, and who said it there');
});

t.test('certificates that don’t fit are told before the start or in the feed’s state', async (t) => {
  const dir = t.testdir({});
  const made = makeCertificates(t, join(dir, 'tls'));
  if (made === null) return;
  const clock = scriptedClock(START, { auto: true });
  const server = await startTaxii(t, { clock, tls: { key: made.read('server.key'), cert: made.read('server.crt') } });
  const feed = (files: string) => `url: "${server.url}", internal: true, key: { env: KEY }, collections: [all]${files}`;
  const mixed = ', tls: { cert: { file: ../tls/client.crt }, key: { file: ../tls/server.key } }';
  await t.rejects(openReader(t, feed(mixed), clock, { KEY: UPSTREAM_KEY }), /cert and tls.key do not belong together/);
  const untrusting = await openReader(t, feed(''), clock, { KEY: UPSTREAM_KEY });
  t.match(await untrusting.side.poll('up'), {
    outcome: 'failed',
    error: { code: 'upstream-failed', message: /could not be read \(\w*(?:VERIFY|SELF_SIGNED|ISSUER)/ },
  });
  t.equal(server.requests.length, 0);
});
