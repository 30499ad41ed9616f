// slow (8 s): simulated months of Elastic's integration
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MICROS_PER_DAY, MICROS_PER_SECOND, type Micros } from '../../src/model/clock.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { type AgentOptions, agentGet, ElasticAgent, ElasticIndex, matchedField } from '../helpers/elastic.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { START, uuidOf } from '../helpers/store.ts';

t.setTimeout(900_000);

const HOUR = 3600 * MICROS_PER_SECOND;
const INTERVAL = 720 * HOUR;
const OBJECTS = '/api/taxii2/api/collections/all/objects';

const yaml = `
data: ./data
feeds:
  one: { format: stix, path: ./one, every: 1m, confidence: 50, tlp: green }
  two: { format: stix, path: ./two, every: 1m, confidence: 60, tlp: green, lifetime: 365d }
pools: { main: { feeds: [one, two], profile: elastic-agent } }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4, ipv6] }
  certificates: { pool: main, types: [x509] }
`;

interface Row {
  pattern: string;
  confidence?: number;
  valid_until?: string;
  [property: string]: unknown;
}

/** A gateway with two feeds in directories, listening, and the ways an agent signs in. */
async function open(t: Test) {
  const dir = t.testdir({ one: {}, two: {} });
  const clock = scriptedClock(START, { auto: true });
  const gateway = await openGateway(t, dir, yaml, { clock });
  const base = await gateway.listen();
  const say = async (feed: 'one' | 'two', rows: Iterable<Row>) => {
    const objects = Array.from(rows, (row) => ({
      type: 'indicator',
      spec_version: '2.1',
      id: `indicator--${uuidOf(`${feed} ${row.pattern}`)}`,
      created: '2025-12-01T00:00:00.000Z',
      modified: '2025-12-01T00:00:00.000Z',
      valid_from: '2025-12-01T00:00:00.000Z',
      pattern_type: 'stix',
      ...row,
    }));
    const file = join(dir, feed, 'bundle.json');
    writeFileSync(`${file}.part`, JSON.stringify({ type: 'bundle', id: `bundle--${uuidOf(feed)}`, objects }));
    renameSync(`${file}.part`, file);
    return gateway.side.poll(feed);
  };
  const agent = (options: Partial<AgentOptions> = {}) =>
    new ElasticAgent({
      url: base + OBJECTS,
      now: () => clock.now(),
      initialInterval: INTERVAL,
      besideNext: 'nothing',
      headers: { authorization: `Bearer ${gateway.key}` },
      ...options,
    });
  return { gateway, clock, base, say, agent };
}

const ips = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, n) => ({
    pattern: `[ipv4-addr:value = '198.18.${(from + n) >> 8}.${(from + n) & 255}']`,
  }));

t.test('every way an agent asks is answered at once, with a list, whatever its headers', async (t) => {
  const { gateway, base, say } = await open(t);
  await say('one', ips(20));
  const basic = Buffer.from(`anyone:${gateway.key}`).toString('base64');
  const auth = { authorization: `Basic ${basic}` };
  const connections = new Set<unknown>();
  gateway.app.server.on('connection', (socket) => connections.add(socket));
  const get = (path: string, headers: Record<string, string> = auth) => agentGet(base + path, headers);
  const ways: [string, string, Record<string, string>?][] = [
    ['bare, without the slash', OBJECTS],
    ['bare, with the slash', `${OBJECTS}/`],
    ['a first poll, seconds only', `${OBJECTS}/?added_after=2025-12-02T00%3A00%3A00Z`],
    ['with a limit', `${OBJECTS}/?added_after=2025-12-02T00%3A00%3A00Z&limit=10000`],
    ['a limit beyond every cap', `${OBJECTS}/?limit=999999999`],
    ['no Accept at all', OBJECTS, auth],
    ...[
      '*/*',
      'application/json',
      'application/taxii+json;version=2.1',
      'application/taxii+json; version=2.1',
      'application/taxii+json',
      'application/vnd.oasis.stix+json; version=2.0',
      'application/stix+json;version=2.1',
    ].map((accept): [string, string, Record<string, string>] => [`Accept: ${accept}`, OBJECTS, { ...auth, accept }]),
    ...['application/taxii+json;version=2.1', 'application/json', 'text/plain'].map(
      (type): [string, string, Record<string, string>] => [
        `Content-Type: ${type} on a GET`,
        `${OBJECTS}/`,
        { ...auth, 'content-type': type },
      ],
    ),
    ['Bearer', OBJECTS, { authorization: `Bearer ${gateway.key}` }],
    ['Token', OBJECTS, { authorization: `Token ${gateway.key}` }],
  ];
  for (const [name, path, headers] of ways) {
    const { status, text, headers: answered } = await get(path, headers);
    t.equal(status, 200, name);
    const body = JSON.parse(text);
    t.equal(body.objects.filter((o: any) => o.type === 'indicator').length, 20, 'with all there is');
    t.notOk('next' in body, 'no next on the last page');
    t.ok(parseTimestamp(String(answered['x-taxii-date-added-last'])), 'and the header that becomes the cursor');
  }
  t.equal(connections.size, ways.length, 'a connection each: keep-alive is off');
});

t.test('the first page without a limit holds a thousand', async (t) => {
  const { say, agent } = await open(t);
  await say('one', ips(1200));
  const run = await agent().poll(1);
  t.equal(run.objects.length, 1000, 'since a thousand pages are what one run takes');
});

t.test('the cursor is the last date of each page, and empty pages keep it', async (t) => {
  const { base, clock, say, agent, gateway } = await open(t);
  await say('one', ips(30));
  const reader = agent({ limit: 7 });
  const first = await reader.poll();
  t.equal(
    first.queries[0],
    `added_after=${formatMillis(START - INTERVAL)
      .slice(0, 19)
      .replaceAll(':', '%3A')}Z&limit=7`,
  );
  t.ok(
    first.queries.slice(1).every((query) => /^limit=7&next=[\w%-]+$/.test(query ?? '')),
    'then by next alone',
  );
  t.equal(first.objects.length, (await readAll(gateway, 'all')).length, 'everything came');

  const last = reader.cursor as string;
  await clock.advance(300_000);
  for (let round = 0; round < 3; round += 1) {
    const empty = await reader.poll();
    t.same(empty.objects, []);
    t.equal(empty.queries[0], `added_after=${encodeURIComponent(last)}&limit=7`, 'sent verbatim');
    t.equal(reader.cursor, last, 'what was asked after comes back in the header');
  }
  const { headers, text } = await agentGet(`${base}${OBJECTS}/?added_after=2026-06-01T00%3A00%3A00Z`, {
    authorization: `Bearer ${gateway.key}`,
  });
  t.strictSame(JSON.parse(text), { more: false, objects: [] }, 'a list on an empty page too');
  for (const name of ['x-taxii-date-added-first', 'x-taxii-date-added-last']) {
    t.equal(headers[name], '2026-06-01T00:00:00.000000Z', `${name} on it`);
  }
  const nothing = agent({ url: `${base}/api/taxii2/api/collections/certificates/objects/` });
  const run = await nothing.poll();
  t.equal(run.error, null);
  t.notOk(run.objects.some(({ type }) => type === 'indicator'));
  t.ok(nothing.cursor, 'a view that holds no indicator has a cursor all the same');

  await say('one', ips(33));
  const news = await reader.poll();
  t.equal(news.objects.length, 3, 'only what is new');
  t.equal(news.error, null);
});

t.test('no page is empty but for the last, whatever the limit, and views neither', async (t) => {
  const { base, gateway, say } = await open(t);
  const names = ips(24).map(({ pattern }, n) => ({
    pattern: n % 3 === 0 ? `[domain-name:value = 'h${n}.example']` : pattern,
  }));
  await say('one', names);
  for (const collection of ['all', 'ips', 'certificates']) {
    const whole = await readAll(gateway, collection);
    for (const limit of [1, 2, 3, whole.length - 1, whole.length, whole.length + 1]) {
      const ids: string[] = [];
      let [next, before, pages] = ['', '', 0];
      for (;;) {
        const url = `${base}/api/taxii2/api/collections/${collection}/objects/?limit=${limit}${next}`;
        const { text, headers } = await agentGet(url, { authorization: `Bearer ${gateway.key}` });
        const body = JSON.parse(text);
        const [first, last] = ['first', 'last'].map((end) => String(headers[`x-taxii-date-added-${end}`]));
        if (body.objects.length === 0) t.fail(`an empty page ${pages} of ${collection} with limit ${limit}`);
        if (!(before < (first as string) && (first as string) <= (last as string))) t.fail('dates go back');
        ids.push(...body.objects.map(({ id }: { id: string }) => id));
        [before, pages] = [last as string, pages + 1];
        if (body.next === undefined) break;
        if (body.more !== true) t.fail('next without more');
        next = `&next=${body.next}`;
      }
      t.strictSame(
        ids,
        whole.map(({ id }) => id),
        `${collection} by ${limit}, in ${pages} pages with rising dates`,
      );
    }
  }
});

t.test('a run that is cut between pages goes on from its cursor, or from its next, without loss', async (t) => {
  for (const besideNext of ['nothing', 'added_after', 'moving added_after'] as const) {
    const { say, agent, gateway, clock } = await open(t);
    await say('one', ips(50));
    for (const survives of [true, false]) {
      const reader = agent({ limit: 6, besideNext });
      const ids: string[] = [];
      for (let run = 0; run < 30; run += 1) {
        const { objects, isCut, queries, error } = await reader.poll(2);
        t.equal(error, null);
        ids.push(...objects.map(({ id }) => id));
        for (const query of queries.filter((query) => query?.includes('next='))) {
          t.equal(query?.includes('added_after='), besideNext !== 'nothing', query as string);
        }
        if (!isCut) break;
        if (!survives) reader.restart();
        await clock.advance(60_000);
      }
      const whole = (await readAll(gateway, 'all')).map(({ id }) => id as string);
      t.strictSame(ids, whole, `${besideNext}, ${survives ? 'next lives' : 'next is lost with the process'}`);
    }
  }
});

t.test('an error is short, says no secret, and the agent heals from it', async (t) => {
  const { say, agent, base, gateway } = await open(t);
  await say('one', ips(30));
  const wrong = 'slc_canary-0123456789-canary-0123456789-canary';
  const refused = await agent({ headers: { authorization: `Bearer ${wrong}` } }).poll();
  t.match(refused.error, /^401 /);
  const tampered = await agentGet(`${base}${OBJECTS}/?limit=6&next=AAAA`, { authorization: `Bearer ${gateway.key}` });
  t.equal(tampered.status, 400);
  const unknown = await agent({ url: `${base}/api/taxii2/api/collections/nope/objects/` }).poll();
  t.match(unknown.error, /^404 /);
  for (const text of [refused.error, tampered.text, unknown.error]) {
    t.ok((text as string).length < 500, 'it is indexed whole');
    t.notMatch(text, /canary/);
    t.notOk((text as string).includes(gateway.key));
  }
  const reader = agent({ limit: 6 });
  const cut = await reader.poll(2);
  const good = reader.options.headers;
  reader.options.headers = { authorization: `Bearer ${wrong}` };
  t.match((await reader.poll()).error, /^401 /);
  reader.options.headers = good;
  const rest = await reader.poll();
  const ids = [...cut.objects, ...rest.objects].map(({ id }) => id as string);
  t.strictSame(
    ids,
    (await readAll(gateway, 'all')).map(({ id }) => id as string),
    'from the last good cursor',
  );
});

t.test('only what the pipeline reads is served, in the form that it reads', async (t) => {
  const { say, gateway } = await open(t);
  const sha512 = 'ab'.repeat(64);
  const hex = (digits: number) => 'c'.repeat(digits);
  const taken: [written: string, field: string, value: string][] = [
    ["[ipv4-addr:value = '198.51.100.7']", 'ip', '198.51.100.7'],
    ["[ipv4-addr:value = '198.51.100.8/32']", 'ip', '198.51.100.8'],
    ["[ipv6-addr:value = '2001:DB8::1']", 'ip', '2001:db8::1'],
    ["[ipv6-addr:value = '2001:db8::2/128']", 'ip', '2001:db8::2'],
    ["[domain-name:value = 'Bücher.example.']", 'url.original', 'xn--bcher-kva.example'],
    ["[url:value = 'http://a.example/it\\'s?q=a b']", 'url.original', 'http://a.example/it%27s?q=a%20b'],
    ["[url:value = 'http://a.example/ OR /b AND c']", 'url.original', 'http://a.example/%20OR%20/b%20AND%20c'],
    [`[file:hashes.MD5 = '${hex(32).toUpperCase()}']`, 'file.hash.md5', hex(32)],
    [`[file:hashes."SHA-1" = '${hex(40)}']`, 'file.hash.sha1', hex(40)],
    [`[file:hashes.SHA256 = '${hex(64)}']`, 'file.hash.sha256', hex(64)],
    ["[email-addr:value = 'A@Example.com']", 'email.address', 'A@example.com'],
    ['[autonomous-system:number = 64496]', 'as.number', '64496'],
    ["[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\Software\\\\Bad']", 'registry.path', 'HKLM\\Software\\Bad'],
    ["[file:name = 'invoice.exe']", 'file.name', 'invoice.exe'],
    [`[x509-certificate:hashes.'SHA-1' = '${hex(40)}']`, 'file.hash.sha1', hex(40)],
  ];
  // Elastic's pipeline takes the type of the first for both: each is an indicator of its own.
  const split = "[domain-name:value = 'b.example' OR ipv4-addr:value = '198.51.100.9']";
  const values = [
    ['url.original', 'b.example'],
    ['ip', '198.51.100.9'],
  ];
  const left = [
    "[ipv4-addr:value = '203.0.113.0/24']",
    "[ipv6-addr:value = '2001:db8::/32']",
    `[file:hashes.'SHA-512' = '${sha512}']`,
    "[email-addr:value = 'o\\'brien@example.com']",
    "[file:name = 'this AND that.exe']",
    "[domain-name:value = 'a.example' AND ipv4-addr:value = '198.51.100.10']",
  ];
  const odd = { x_score: 7, x_deep: { a: { b: [1] } }, lang: 'en', indicator_types: ['malicious-activity'] };
  await say('one', [
    ...taken.map(([pattern]) => ({ pattern, confidence: 85, ...odd })),
    ...[split, ...left].map((pattern) => ({ pattern })),
    { pattern: '[]', type: 'vulnerability', name: 'CVE-2026-12345' },
  ]);
  const objects = await readAll(gateway, 'all');
  const indicators = objects.filter(({ type }) => type === 'indicator');
  t.strictSame(
    new Set(indicators.map(({ pattern }) => JSON.stringify(matchedField(pattern)))),
    new Set([...taken.map(([, ...read]) => read), ...values].map(([field, value]) => JSON.stringify({ field, value }))),
    'each value whole in its field, and nothing besides',
  );
  t.equal(indicators.length, taken.length + values.length);
  t.notOk(objects.some(({ type }) => type === 'vulnerability'));
  t.ok(
    objects.every(({ spec_version }) => spec_version === '2.1'),
    'or it would be dropped',
  );
  for (const indicator of indicators) {
    t.match(indicator['pattern'], /^\[[a-z0-9-]+:[\w.'-]+ = (?:'[^']*'|\d+)\]$/, indicator['pattern']);
    t.equal(typeof indicator['confidence'], 'number');
    t.ok(indicator['name'] && indicator['description'] && indicator['modified'] && indicator['valid_from']);
    for (const time of ['created', 'modified', 'valid_from', 'valid_until']) {
      t.match(indicator[time], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, `${time} has three digits and is there`);
    }
    t.ok((parseTimestamp(indicator['valid_until']) as Micros) > START, 'not over before it begins');
    t.same(
      Object.keys(indicator).filter((name) => name.startsWith('x_')),
      [],
      'no custom property',
    );
    for (const number of JSON.stringify(indicator).match(/(?<=[:,[])-?\d+(?=[,\]}])/g) ?? []) {
      t.ok(Number.isSafeInteger(Number(number)), 'no integer that CEL would round');
    }
  }
});

/** mulberry32. */
function randomFrom(seed: number): (most: number) => number {
  let state = seed >>> 0;
  return (most) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * most);
  };
}

/** Half a day each. */
const STEPS = 96;
const VALUES = 150;
/** Values that nobody changes or takes back: age alone issues them anew. */
const STEADY = 10;
/** Elasticsearch's clock is ahead of ours by so much, or behind. */
const SKEW = 5 * 60 * MICROS_PER_SECOND;
const SEED = 20_261_124;

t.test('what agents hold after 48 days of changes is what is live', { timeout: 300_000 }, async (t) => {
  const { say, agent, gateway, clock, base } = await open(t);
  const random = randomFrom(SEED);
  const readers = [
    { name: 'old, 720h', agent: agent(), index: new ElasticIndex(), from: 0, cuts: false, skew: SKEW },
    {
      name: '1.8.2, limit 7, killed now and then',
      agent: agent({ besideNext: 'added_after', limit: 7, url: `${base}${OBJECTS}/` }),
      index: new ElasticIndex(),
      from: 0,
      cuts: true,
      skew: -SKEW,
    },
    {
      name: 'no initial interval: everything each time',
      agent: agent({ initialInterval: null, headers: { authorization: `Token ${gateway.key}` } }),
      index: new ElasticIndex(),
      from: 10,
      cuts: false,
      skew: -SKEW,
    },
    {
      name: 'joins on day 36',
      agent: agent({ besideNext: 'moving added_after', limit: 50 }),
      index: new ElasticIndex(),
      from: 72,
      cuts: false,
      skew: SKEW,
    },
  ];
  const said = { one: new Map<number, Row>(), two: new Map<number, Row>() };
  const rowOf = (n: number): Row => ({ ...(ips(1, n)[0] as Row), confidence: 40 + random(50) });
  for (let n = 0; n < VALUES; n += 1) said[n % 4 === 0 ? 'two' : 'one'].set(n, rowOf(n));
  for (let n = 0; n < STEADY; n += 1) said.two.set(1000 + n, rowOf(1000 + n));
  const served = async () =>
    (await readAll(gateway, 'all', 'limit=5000'))
      .filter(({ type, revoked }) => type === 'indicator' && revoked !== true)
      .map(({ id, pattern }) => `${id} ${pattern}`)
      .sort();
  const wanted = () =>
    [...new Set([...said.one.values(), ...said.two.values()].filter(isStanding).map(({ pattern }) => pattern))].sort();
  const isStanding = ({ valid_until: until }: Row) =>
    until === undefined || (parseTimestamp(until) as Micros) > clock.now();
  const seen: Record<string, any>[] = [];

  for (let step = 0; step < STEPS; step += 1) {
    clock.set(START + (step * MICROS_PER_DAY) / 2);
    for (const feed of ['one', 'two'] as const) {
      const rows = said[feed];
      for (let change = 0; step > 0 && change < 3; change += 1) {
        const n = random(VALUES + 30);
        const [drawn, until] = [random(4), formatMillis(clock.now() + (1 + 2 * random(5)) * 6 * HOUR)];
        if (drawn === 0) rows.delete(n);
        else rows.set(n, drawn === 1 ? { ...rowOf(n), valid_until: until } : rowOf(n));
      }
      const report = await say(feed, rows.values());
      if (report.error !== null) t.fail(`step ${step}: ${report.error.message}`);
    }
    await gateway.side.tick();
    await clock.advance(120_000);
    for (const { agent, index, from, cuts, skew } of readers) {
      if (step < from) continue;
      const run = await agent.poll(cuts ? 1 + random(12) : 1000);
      if (run.error !== null) t.fail(run.error);
      seen.push(...run.objects);
      index.ingest(run.objects, clock.now() + skew);
      index.transform(clock.now() + skew);
      if (cuts && random(3) === 0) agent.restart();
    }
    if (step % 8 !== 7 && step !== STEPS - 1) continue;
    const live = await served();
    t.strictSame(
      live.map((line) => line.slice(line.indexOf(' ') + 1)).sort(),
      wanted(),
      `day ${(step + 1) / 2}: what is live is what the feeds say`,
    );
    for (const { name, agent, index, from, skew } of readers) {
      if (step < from) continue;
      for (let run = await agent.poll(); ; run = await agent.poll()) {
        index.ingest(run.objects, clock.now() + skew);
        if (!run.isCut) break;
      }
      index.transform(clock.now() + skew);
      t.strictSame(index.live(), live, `day ${(step + 1) / 2}: and what is held by ${name}`);
      t.strictSame(index.matchable(clock.now() + skew), live, 'all of it young enough for the rules');
      t.strictSame(index.errors, []);
    }
  }

  // Six days on, Elastic has deleted the documents that it compares repeated ones with.
  clock.set(clock.now() + 6 * MICROS_PER_DAY);
  for (const feed of ['one', 'two'] as const) await say(feed, said[feed].values());
  await gateway.side.tick();
  await clock.advance(120_000);
  const live = await served();
  const everything = (await agent({ initialInterval: null }).poll()).objects;
  const fresh = { name: 'an agent that was never there', index: new ElasticIndex(), skew: 0 };
  for (const { name, index, skew } of [...readers, fresh]) {
    index.ingest(everything, clock.now() + skew);
    index.transform(clock.now() + skew);
    t.strictSame(index.live(), live, `the same after everything is read again, by ${name}`);
  }
  checkHistory(t, seen);
});

/** What must hold of all that was ever told. */
function checkHistory(t: Test, seen: Record<string, any>[]): void {
  const versions = new Map<string, Record<string, any>[]>();
  for (const object of seen) {
    if (object['type'] !== 'indicator') continue;
    versions.set(object['id'], [...(versions.get(object['id']) ?? []), object]);
  }
  let tombstones = 0;
  for (const [id, all] of versions) {
    const [living, dead] = [
      all.filter(({ revoked }) => revoked !== true),
      all.filter(({ revoked }) => revoked === true),
    ];
    const forms = (objects: Record<string, any>[]) => new Set(objects.map((object) => JSON.stringify(object))).size;
    if (forms(living) > 1) t.fail(`${id} came in two living versions: Elastic would drop the second`);
    if (forms(dead) > 1) t.fail(`${id} was revoked twice`);
    const [first, last] = [living[0], dead[0]];
    if (first === undefined || last === undefined) continue;
    tombstones += 1;
    if (!(last['created'] > first['created'])) t.fail(`${id}: the tombstone must be sorted behind the living`);
    if (last['created'] !== last['modified']) t.fail(`${id}: created is modified on a tombstone`);
    if (!(last['valid_until'] < last['modified'])) t.fail(`${id}: a tombstone is over already`);
    if (!(last['valid_until'] > last['valid_from'])) t.fail(`${id}: valid_until must be behind valid_from`);
  }
  t.ok(versions.size > 2 * VALUES && tombstones > VALUES, `${versions.size} ids, ${tombstones} of them revoked`);
}
