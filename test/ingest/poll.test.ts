// slow (19 s): waits for upstreams that hang
import { readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { BATCH_ROWS } from '../../src/feeds/feed.ts';
import { normaliseBatch } from '../../src/ingest/batch.ts';
import { MICROS_PER_DAY, MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { defaultReach, type FeedDefinition } from '../../src/model/definition.ts';
import { errorText } from '../../src/model/error.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import type { ResolveAll } from '../../src/upstream/dispatcher.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, readAll } from '../helpers/gateway.ts';
import { START } from '../helpers/store.ts';
import { indicatorOf, startTaxii } from '../helpers/taxii-upstream.ts';
import { answer, startUpstream } from '../helpers/upstream.ts';

const CANARY = 'sk_live_canary_0123456789';

const configOf = (profile: string): string => `
data: ./data
feeds:
  one: { format: stix, path: ./one, every: 1m, confidence: 50, tlp: green }
  two: { format: stix, path: ./two, every: 1m, confidence: 60, tlp: green }
pools:
  main: { feeds: [one, two], profile: ${profile} }
collections:
  all: { pool: main }
  ips: { pool: main, types: [ipv4, ipv6] }
  two-sources: { pool: main, sources: 2 }
`;

let ids = 0;
const stixIndicator = (value: string, more: Record<string, unknown> = {}) => {
  ids += 1;
  return {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--00000000-0000-4000-8000-${String(ids).padStart(12, '0')}`,
    created: '2025-12-01T00:00:00.000Z',
    modified: '2025-12-01T00:00:00.000Z',
    pattern: `[ipv4-addr:value = '${value}']`,
    pattern_type: 'stix',
    valid_from: '2025-12-01T00:00:00.000Z',
    ...more,
  };
};
const bundle = (objects: unknown[]): string =>
  JSON.stringify({ type: 'bundle', id: 'bundle--00000000-0000-4000-8000-000000000000', objects });

const live = (objects: Record<string, any>[]) =>
  objects.filter((o) => o['type'] === 'indicator' && o['revoked'] !== true);
const dead = (objects: Record<string, any>[]) => objects.filter((o) => o['revoked'] === true);
const patterns = (objects: Record<string, any>[]) =>
  live(objects)
    .map((o) => o['pattern'])
    .sort();

/** A gateway whose two feeds are directories that the test writes. */
async function openFiles(t: Test, profile: string) {
  const dir = t.testdir({ one: {}, two: {} });
  const clock = scriptedClock(START, { auto: true });
  const gateway = await openGateway(t, dir, configOf(profile), { clock });
  let stamp = 1_700_000_000;
  const write = (feed: string, text: string): void => {
    const file = join(dir, feed, 'bundle.json');
    writeFileSync(file, text);
    stamp += 1;
    utimesSync(file, stamp, stamp);
  };
  return { ...gateway, gateway, clock, write, dir };
}

t.test('a batch whose rows hold many values is committed in parts, the last of which ends it', async (t) => {
  const definition: FeedDefinition = {
    ...{
      name: 'one',
      format: 'stix',
      mode: 'snapshot',
      title: 'One',
      aliases: [],
      every: 1,
      confidence: null,
      tlp: 'green',
    },
    ...{ lifetime: {}, outageLimit: 0, shrinkGuard: null, emptyAllowed: true, reach: defaultReach },
  };
  const list = (row: number) => Array.from({ length: 1000 }, (_, n) => `'1.${row}.${n >> 8}.${n & 255}'`).join();
  const items = Array.from({ length: 25 }, (_, row) => ({
    stix: stixIndicator('', { pattern: `[ipv4-addr:value IN (${list(row)})]` }),
  }));
  const rejected = [{ reason: 'bad-stix' as const, detail: 'x', row: '' }];
  const batch = { items, rejected, cursor: 'c', last: true, gap: { from: 1, to: 2 } };
  const parts = [...normaliseBatch(batch, definition, START)];
  t.same(
    parts.map(({ rows, batch: { cursor, last, gap, rejected } }) => [
      ...[rows.observations.length, rows.accepted],
      ...[cursor, last, gap ?? null, rejected.length],
    ]),
    [
      [11_000, 11, null, false, null, 0],
      [11_000, 11, null, false, null, 0],
      [3000, 3, 'c', true, { from: 1, to: 2 }, 1],
    ],
  );
  const keys = new Set(parts.flatMap(({ rows }) => rows.observations.map(({ key }) => key)));
  t.equal(keys.size, 25_000);
  const rows = Array.from({ length: BATCH_ROWS }, (_, n) => ({ value: `1.2.${n >> 8}.${n & 255}` }));
  t.equal(
    [...normaliseBatch({ ...batch, items: rows }, definition, START)].length,
    1,
    'a batch of plain rows is one part',
  );
});

for (const profile of ['stix', 'elastic-agent']) {
  t.test(
    `${profile}: an unchanged feed adds no entry, whether its files are the same or only say the same`,
    async (t) => {
      const { side, gateway, write } = await openFiles(t, profile);
      const text = bundle([stixIndicator('198.51.100.1'), stixIndicator('198.51.100.2')]);
      write('one', text);
      t.match(await side.poll('one'), { outcome: 'whole', accepted: 2, rejected: 0, entries: 2 });
      t.match(await side.poll('one'), { outcome: 'unchanged', entries: 0 });
      write('one', text);
      t.match(await side.poll('one'), { outcome: 'whole', accepted: 2, entries: 0 });
      t.equal(live(await readAll(gateway, 'all')).length, 2);
    },
  );

  t.test(
    `${profile}: patterns of several values are split, what is not split is counted, and rows are counted as read`,
    async (t) => {
      const { side, gateway, write, clock } = await openFiles(t, profile);
      const complex: string[] = JSON.parse(readFileSync(new URL('../fixtures/patterns.json', import.meta.url), 'utf8'));
      const rows = complex.slice(0, 7).map((pattern) => stixIndicator('198.51.100.1', { pattern }));
      write('one', bundle([...rows, stixIndicator('198.51.100.99')]));
      t.match(await side.poll('one'), { outcome: 'whole', accepted: 8, rejected: 0, entries: 10 });
      const split = [
        "[domain-name:value = 'bad5.example.com']",
        "[file:hashes.'SHA-256' = 'cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc']",
        "[file:hashes.MD5 = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa']",
        ...[
          '198.51.100.7',
          '198.51.100.99',
          '203.0.113.15',
          '203.0.113.16',
          '203.0.113.17',
          '203.0.113.18',
          '203.0.113.5',
        ].map((address) => `[ipv4-addr:value = '${address}']`),
      ];
      t.same(patterns(await readAll(gateway, 'all')), split);
      const { rows: rejections } = await side.rejections('one', 10);
      t.match(rejections, [{ reason: 'unsupported-pattern', detail: /^FOLLOWEDBY of observations/, count: 1 }]);
      await clock.advance(60_000);
      write('one', bundle([rows[1], stixIndicator('198.51.100.99')]));
      t.match(await side.poll('one'), { outcome: 'whole', accepted: 2, withdrawn: 7 });
      t.same(patterns(await readAll(gateway, 'all')).length, 3, 'of a split one both values stay');
    },
  );

  t.test(`${profile}: a row gone from a snapshot leaves a tombstone, and comes back as a new indicator`, async (t) => {
    const { side, gateway, write, clock } = await openFiles(t, profile);
    const [a, b] = [stixIndicator('198.51.100.1'), stixIndicator('198.51.100.2')];
    write('one', bundle([a, b]));
    await side.poll('one');
    const before = live(await readAll(gateway, 'all')).find((o) => o['pattern'].includes('198.51.100.2'));
    await clock.advance(60_000);
    write('one', bundle([a]));
    t.match(await side.poll('one'), { outcome: 'whole', entries: 1, withdrawn: 1 });
    const gone = dead(await readAll(gateway, 'all'));
    t.same(
      gone.map((o) => o['id']),
      [before?.['id']],
      'the tombstone carries the id that readers have',
    );
    t.ok(gone[0]?.['modified'] > before?.['modified'], 'as a later version');
    t.ok(gone[0]?.['valid_until'] > gone[0]?.['valid_from']);
    await clock.advance(60_000);
    write('one', bundle([a, b]));
    await side.poll('one');
    const again = live(await readAll(gateway, 'all')).find((o) => o['pattern'].includes('198.51.100.2'));
    t.not(again?.['id'], before?.['id'], 'revocation is final');
    t.same(
      dead(await readAll(gateway, 'all')).map((o) => o['id']),
      [before?.['id']],
      'and still told',
    );
  });

  t.test(`${profile}: a broken document withdraws nothing and is reported`, async (t) => {
    const { side, gateway, write } = await openFiles(t, profile);
    const text = bundle([stixIndicator('198.51.100.1'), stixIndicator('198.51.100.2')]);
    write('one', text);
    await side.poll('one');
    for (const [broken, excerpt] of [
      [text.slice(0, text.length - 20), undefined],
      ['\n\n<html>\n<body>Sign in</body></html>', '<html> <body>Sign in</body></html>'],
      ['root:x:0:0:canary:/root:/bin/sh\n', 'root:x:0:0:canary:/root:/bin/sh'],
      ['{"password":"canary"}', '{"password":"canary"}'],
      ['[{"type":"indicator","canary', undefined],
    ] as const) {
      write('one', broken);
      const { outcome, error, withdrawn } = await side.poll('one');
      t.match(
        { outcome, error, withdrawn },
        { outcome: 'failed', error: { code: 'upstream-malformed' }, withdrawn: 0 },
      );
      t.match(error?.message, /is no whole STIX: .*[^.]\.$/);
      if (excerpt !== undefined) t.equal(error?.excerpt, excerpt, 'the operator is shown how it begins');
      const feeds = await gateway.app.inject({
        url: '/api/v1/feeds',
        headers: { authorization: `Bearer ${gateway.key}` },
      });
      t.match(feeds.body, 'is no whole STIX', 'readers hear of it');
      t.notMatch(`${feeds.body}${error?.message}`, /canary|Sign in/, 'and of nothing that the file holds');
    }
    t.equal(live(await readAll(gateway, 'all')).length, 2, 'what was served stays served');
    const status = await side.status();
    t.match(
      status.feeds.find(({ feed }) => feed === 'one'),
      { failures: 5, error: { code: 'upstream-malformed' } },
    );
    write('one', text);
    t.match(await side.poll('one'), { outcome: 'whole', entries: 0 }, 'a pull after a failed one is a whole pull');
  });

  t.test(`${profile}: two feeds on one observable make one indicator that outlives either`, async (t) => {
    const { side, gateway, write, dir } = await openFiles(t, profile);
    write('one', bundle([stixIndicator('198.51.100.1')]));
    write('two', bundle([stixIndicator('198[.]51[.]100[.]1', { pattern: "[ipv4-addr:value = '198.51.100.1']" })]));
    await side.poll('one');
    await side.poll('two');
    t.same(patterns(await readAll(gateway, 'all')), ["[ipv4-addr:value = '198.51.100.1']"]);
    t.equal(live(await readAll(gateway, 'two-sources')).length, 1, 'a journal that wants two sources has it now');
    rmSync(join(dir, 'one', 'bundle.json'));
    await side.poll('one');
    t.same(patterns(await readAll(gateway, 'all')), ["[ipv4-addr:value = '198.51.100.1']"]);
    t.equal(live(await readAll(gateway, 'two-sources')).length, 0);
    t.equal(dead(await readAll(gateway, 'two-sources')).length, 1, 'and told that it is below the bar');
  });

  t.test(`${profile}: a collapse of a snapshot is held back`, async (t) => {
    const { side, gateway, write } = await openFiles(t, profile);
    const many = Array.from({ length: 50 }, (_, i) => stixIndicator(`198.51.100.${i + 1}`));
    write('one', bundle(many));
    await side.poll('one');
    write('one', bundle(many.slice(0, 3)));
    t.match(await side.poll('one'), { outcome: 'held-back', withdrawn: 0 });
    t.equal(live(await readAll(gateway, 'all')).length, 50);
  });

  t.test(`${profile}: expiry appends a tombstone, which is purged when its keep is over`, async (t) => {
    const { side, gateway, write, clock } = await openFiles(t, profile);
    write('one', bundle([stixIndicator('198.51.100.1', { valid_until: formatMillis(START + MICROS_PER_DAY) })]));
    await side.poll('one');
    t.equal(live(await readAll(gateway, 'all')).length, 1);
    clock.set(START + 2 * MICROS_PER_DAY);
    await side.tick();
    t.equal(live(await readAll(gateway, 'all')).length, 0);
    t.equal(dead(await readAll(gateway, 'all')).length, 1);
    clock.set(START + 33 * MICROS_PER_DAY);
    await side.tick();
    t.equal(dead(await readAll(gateway, 'all')).length, 0);
  });
}

t.test(
  'stix: a change is a new version of the same id; elastic-agent: a new id, then the old one revoked',
  async (t) => {
    for (const profile of ['stix', 'elastic-agent']) {
      const { side, gateway, write, clock } = await openFiles(t, profile);
      const row = stixIndicator('198.51.100.1');
      write('one', bundle([row]));
      await side.poll('one');
      const [before] = live(await readAll(gateway, 'all'));
      await clock.advance(5000);
      write('one', bundle([{ ...row, confidence: 90 }]));
      await side.poll('one');
      const objects = await readAll(gateway, 'all');
      const [after] = live(objects);
      t.equal(after?.['confidence'], 90);
      if (profile === 'stix') {
        t.equal(after?.['id'], before?.['id']);
        t.equal(after?.['created'], before?.['created']);
        t.ok(after?.['modified'] > before?.['modified']);
        t.equal(dead(objects).length, 0);
      } else {
        t.not(after?.['id'], before?.['id']);
        const tail = objects.slice(-2);
        t.same(
          tail.map((o) => o['id']),
          [after?.['id'], before?.['id']],
          'the new one first, the tombstone right after it',
        );
        t.equal(tail[1]?.['created'], tail[1]?.['modified'], 'Elastic sorts by created');
        t.ok(tail[1]?.['valid_until'] < tail[0]?.['created'], 'already over on a clock that is ahead');
      }
    }
  },
);

t.test('elastic-agent: a living indicator is issued anew between 20 and 25 days', async (t) => {
  const { side, gateway, write, clock } = await openFiles(t, 'elastic-agent');
  const text = bundle(Array.from({ length: 20 }, (_, i) => stixIndicator(`198.51.100.${i + 1}`)));
  write('one', text);
  await side.poll('one');
  const first = new Set(live(await readAll(gateway, 'all')).map((o) => o['id']));
  const renewed = async (day: number): Promise<number> => {
    clock.set(START + day * MICROS_PER_DAY);
    t.equal((await side.poll('one')).outcome, 'unchanged');
    await side.tick();
    const now = live(await readAll(gateway, 'all'));
    t.equal(now.length, 20, `all are live on day ${day}`);
    return now.filter((o) => !first.has(o['id'])).length;
  };
  t.equal(await renewed(14), 0, 'nothing by then');
  const between = await renewed(22.5);
  t.ok(between > 0, 'some in between');
  t.equal(await renewed(25), 20, 'all by then');
});

t.test('SOC Defenders: pages, narrows its window, and asks for changes only', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  const upstream = await startUpstream(t, { key: CANARY, clock });
  const hour = 3600 * MICROS_PER_SECOND;
  upstream.rows = Array.from({ length: 2500 }, (_, i) => ({
    updated: START - Math.floor((i / 2500) * 20 * hour),
    row: {
      id: `00000000-0000-4000-9000-${String(i).padStart(12, '0')}`,
      type: i % 2 === 0 ? 'ipv4' : 'domain',
      value: i % 2 === 0 ? `203.0.${113 + (i >> 9)}.${(i >> 1) & 255}` : `host-${i}.example`,
      ...(i % 3 === 0
        ? {}
        : { confidence: 'high', source: { feed_name: 'URLhaus', category: 'community', origin: 'feed' } }),
      ...(i % 5 === 0 ? { tags: ['c2'], mitre_techniques: ['T1071'], first_seen: formatMillis(START - hour) } : {}),
    },
  }));
  const values = new Set(upstream.rows.map(({ row }) => (row as { value: string }).value));
  const dir = t.testdir();
  const yaml = `
data: ./data
feeds:
  soc: { preset: socdefenders, plan: pro, url: "${upstream.url}", internal: true, key: { env: SOC_KEY }, page_size: 100 }
pools: { main: { feeds: [soc] } }
collections: { all: { pool: main } }
`;
  const gateway = await openGateway(t, dir, yaml, { clock, env: { SOC_KEY: CANARY } });
  const first = await gateway.side.poll('soc');
  t.match(first, { outcome: 'whole', error: null });
  t.equal(live(await readAll(gateway, 'all')).length, values.size, 'every value arrived');
  t.ok(
    upstream.requests.every(({ url }) => Number(url.searchParams.get('offset')) <= 1100),
    'no walk went past the offsets that are advised',
  );
  t.ok(
    upstream.requests.every(
      ({ url, authorization }) => authorization === `Bearer ${CANARY}` && !url.search.includes(CANARY),
    ),
  );

  const before = upstream.requests.length;
  await clock.advance(60_000);
  t.match(await gateway.side.poll('soc'), { outcome: 'whole', entries: 0 }, 'nothing new, no entry');
  t.ok(upstream.requests.length - before <= 2, 'for a request or two');

  upstream.rows.push({ updated: clock.now(), row: { type: 'sha256', value: 'A'.repeat(64) } });
  upstream.rows.push({ updated: clock.now(), row: { type: 'ipv4', value: 'not an address' } });
  await clock.advance(60_000);
  t.match(await gateway.side.poll('soc'), { outcome: 'whole', entries: 1, rejected: 1 });
  const { counts, rows } = await gateway.side.rejections('soc', 10);
  t.equal(
    counts.reduce((sum, { count }) => sum + count, 0),
    1,
  );
  t.match(rows[0]?.row, /not an address/, 'the refused row can be read');

  const iocs = await gateway.app.inject({
    url: '/api/v1/iocs?type=sha256&limit=1000',
    headers: { authorization: `Bearer ${gateway.key}` },
  });
  t.match(iocs.json().data, [{ type: 'sha256', value: 'a'.repeat(64), source: { feed_name: 'SOC Defenders' } }]);
});

t.test('SOC Defenders: each failure is named, costs nothing that is served, and never shows the key', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  const upstream = await startUpstream(t, { key: CANARY, clock });
  upstream.rows = [{ updated: START - MICROS_PER_SECOND, row: { type: 'ipv4', value: '203.0.113.9' } }];
  const dir = t.testdir();
  const yaml = `
data: ./data
feeds: { soc: { preset: socdefenders, plan: pro, url: "${upstream.url}", internal: true, key: { env: SOC_KEY } } }
pools: { main: { feeds: [soc] } }
collections: { all: { pool: main } }
`;
  const gateway = await openGateway(t, dir, yaml, { clock, env: { SOC_KEY: CANARY } });
  await gateway.side.poll('soc');
  const html = '<html>Sign in</html>';
  const cases: {
    name: string;
    code: string;
    message: RegExp;
    fault: Parameters<typeof upstream.faults.push>[0];
    times?: number;
  }[] = [
    ...['missing_api_key', 'invalid_api_key', 'expired_api_key'].map((word) => ({
      name: word,
      code: 'upstream-unauthorized',
      message: /key/,
      fault: (_: unknown, response: any) =>
        answer(response, 401, { error: { code: word, message: word, request_id: 'r' } }),
    })),
    {
      name: 'wrong plan',
      code: 'upstream-forbidden',
      message: /plan/,
      fault: (_, response) => answer(response, 403, { error: { code: 'forbidden' } }),
    },
    {
      name: 'HTML',
      code: 'upstream-malformed',
      message: /Sign in/,
      fault: (_, response) => void response.writeHead(200).end(html),
    },
    {
      name: 'half a document',
      code: 'upstream-malformed',
      message: /no whole JSON/,
      fault: (_, response) => void response.writeHead(200).end('{"data":[{"type"'),
    },
    {
      name: '500 again and again',
      code: 'upstream-failed',
      message: /500/,
      times: 3,
      fault: (_, response) => answer(response, 500, {}),
    },
    {
      name: 'reset in the body',
      code: 'upstream-failed',
      message: /could not be read/,
      times: 3,
      fault: (request, response) => {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"data":[');
        setTimeout(() => request.socket.destroy(), 20);
      },
    },
    {
      name: 'another site',
      code: 'upstream-malformed',
      message: /another site/,
      fault: (_, response) => void response.writeHead(302, { location: 'http://192.0.2.1/' }).end(),
    },
  ];
  for (const { name, code, message, fault, times = 1 } of cases) {
    for (let i = 0; i < times; i += 1) upstream.faults.push(fault);
    const report = await gateway.side.poll('soc');
    t.equal(report.outcome, 'failed', name);
    t.equal(report.error?.code, code, name);
    t.match(report.error === null ? '' : errorText(report.error), message, name);
    upstream.faults.length = 0;
    t.equal(live(await readAll(gateway, 'all')).length, 1, `${name}: still served`);
    // Long enough for the breaker to let the next one through.
    await clock.advance(3_600_000);
  }
  const reset = Math.floor(clock.now() / MICROS_PER_SECOND) + 30;
  upstream.faults.push((_, response) =>
    answer(response, 429, { error: { code: 'rate_limit_exceeded' } }, { 'x-ratelimit-reset': String(reset) }),
  );
  t.equal((await gateway.side.poll('soc')).outcome, 'whole', 'a short 429 is waited out');
  t.ok(clock.now() >= reset * MICROS_PER_SECOND, 'until the time that the upstream named');
  const written = JSON.stringify([
    await gateway.side.status(),
    await gateway.side.rejections('soc', 100),
    await readAll(gateway, 'all'),
  ]);
  t.notOk(written.includes(CANARY), 'the key is nowhere in what is told');
});

t.test('an outage beyond what the upstream looks back is a gap, in status and as a note', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  const upstream = await startUpstream(t, { key: CANARY, clock });
  upstream.rows = [{ updated: START - MICROS_PER_SECOND, row: { type: 'ipv4', value: '203.0.113.9' } }];
  const yaml = `
data: ./data
feeds: { soc: { preset: socdefenders, plan: pro, lookback_days: 2, url: "${upstream.url}", internal: true, key: { env: SOC_KEY } } }
pools: { main: { feeds: [soc] } }
collections: { all: { pool: main } }
`;
  const gateway = await openGateway(t, t.testdir(), yaml, { clock, env: { SOC_KEY: CANARY } });
  const gapOf = async () => (await gateway.side.status()).feeds[0]?.gap;
  t.equal((await gateway.side.poll('soc')).outcome, 'whole');
  t.equal(await gapOf(), null);
  await clock.advance(MICROS_PER_DAY / 1000);
  t.equal((await gateway.side.poll('soc')).outcome, 'whole');
  t.equal(await gapOf(), null, 'an outage that can be caught up is none');
  const last = clock.now();
  await clock.advance((5 * MICROS_PER_DAY) / 1000);
  upstream.down = { status: 503 };
  t.equal((await gateway.side.poll('soc')).outcome, 'failed');
  t.equal(await gapOf(), null, 'not while it is down: it may have kept more');
  upstream.down = null;
  await clock.advance(3_600_000);
  const report = await gateway.side.poll('soc');
  t.match(report, { outcome: 'whole', error: null });
  const gap = await gapOf();
  t.ok(gap && gap.from <= last && gap.to > clock.now() - 2.1 * MICROS_PER_DAY && gap.to < clock.now());
  const { counts, rows } = await gateway.side.rejections('soc', 10);
  t.match(counts, [{ reason: 'not-served', count: 1 }]);
  t.match(rows[0], { detail: /looks back/, row: new RegExp(`to ${formatMillis(gap?.to ?? 0)}`) });
  t.equal((await gateway.side.poll('soc')).outcome, 'whole');
  t.strictSame(await gapOf(), gap, 'told once, and remembered');
  t.equal((await gateway.side.rejections('soc', 10)).counts[0]?.count, 1);
});

t.test('what is odd about a feed that is read all the same is its note, until a whole pull has none', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  const upstream = await startTaxii(t, { auth: null });
  const yaml = `
data: ./data
feeds: { up: { format: taxii, url: "${upstream.url}", collections: [all], every: 10m, internal: true } }
pools: { main: { feeds: [up] } }
collections: { all: { pool: main } }
`;
  const { side } = await openGateway(t, t.testdir(), yaml, { clock });
  const noteOf = async () => (await side.status()).feeds[0]?.note;
  upstream.rows = [{ added: START, object: indicatorOf(1) }];
  t.match(await side.poll('up'), { outcome: 'whole', accepted: 1 });
  t.equal(await noteOf(), null);
  upstream.rows.push({ added: Date.UTC(9999, 0) * 1000, object: indicatorOf(2) });
  t.match(await side.poll('up'), { outcome: 'whole', accepted: 2 });
  const note = await noteOf();
  t.match(note, { text: /^The server dates rows of collection all ahead of its own clock \(9999-01-01T/ });
  t.ok(note && note.at >= START);
  upstream.down = { status: 500 };
  t.match(await side.poll('up'), { outcome: 'failed' });
  t.strictSame(await noteOf(), note, 'a poll that fails says nothing of it');
  upstream.down = null;
  upstream.rows.pop();
  await clock.advance(3_600_000);
  t.match(await side.poll('up'), { outcome: 'whole' });
  t.equal(await noteOf(), null);
});

t.test(
  'upstreams that stop in the middle of a large answer keep neither a file nor another upstream waiting',
  async (t) => {
    const clock = scriptedClock(START, { auto: true });
    const upstream = await startTaxii(t, { auth: null });
    const large = bundle(Array.from({ length: 30 }, (_, n) => indicatorOf(n, { x_filler: 'x'.repeat(400_000) })));
    const going: (() => void)[] = [];
    upstream.onRequest = ({ url }) => {
      upstream.down = url.pathname.startsWith('/slow')
        ? (_, reply) => {
            // More than is read ahead; then nothing, until the test says so.
            reply.writeHead(200, { 'content-type': 'application/json' });
            reply.write(large.slice(0, -1000));
            going.push(() => void reply.end(large.slice(-1000)));
          }
        : null;
    };
    upstream.rows = [{ added: START, object: indicatorOf(901) }];
    const dir = t.testdir({ file: { 'a.json': bundle([indicatorOf(900)]) } });
    const slow = (n: number) =>
      n % 2 === 0
        ? `slow${n}: { format: stix, url: "${upstream.url}/slow${n}", every: 1h, internal: true }`
        : `slow${n}: { format: taxii, url: "${upstream.url}/slow${n}/collections/c/", every: 1h, internal: true }`;
    const names = Array.from({ length: 16 }, (_, n) => n);
    const yaml = `
data: ./data
feeds:
  file: { format: stix, path: ./file }
${names.map((n) => `  ${slow(n)}`).join('\n')}
  quick: { format: taxii, url: "${upstream.url}", collections: [all], internal: true, every: 1h }
pools: { main: { feeds: [file, quick, ${names.map((n) => `slow${n}`).join(', ')}] } }
collections: { all: { pool: main } }
`;
    const { side } = await openGateway(t, dir, yaml, { clock });
    const polls = names.slice(0, 15).map((n) => side.poll(`slow${n}`));
    while (going.length < 15) await new Promise((resolve) => setImmediate(resolve));
    t.match(await side.poll('quick'), { outcome: 'whole', accepted: 1 });
    polls.push(side.poll('slow15'));
    while (going.length < 16) await new Promise((resolve) => setImmediate(resolve));
    t.match(await side.poll('file'), { outcome: 'whole', accepted: 1 }, 'though no upstream more would be asked now');
    for (const go of going) go();
    for (const report of await Promise.all(polls)) t.match(report, { outcome: 'whole', accepted: 30, error: null });
  },
);

t.test('a loopback upstream that nobody called internal is refused, and says what to set', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  const upstream = await startUpstream(t, { key: CANARY, clock });
  const yaml = `
data: ./data
feeds: { soc: { preset: socdefenders, plan: pro, url: "${upstream.url}", key: { env: SOC_KEY } } }
pools: { main: { feeds: [soc] } }
collections: { all: { pool: main } }
`;
  const { side } = await openGateway(t, t.testdir(), yaml, { clock, env: { SOC_KEY: CANARY } });
  t.match(await side.poll('soc'), { outcome: 'failed', error: { message: /set internal: true/ } });
  t.equal(upstream.requests.length, 0);
});

t.test('a redirect of an internal upstream leads to its own host only, and sixteen polls run at a time', async (t) => {
  const clock = scriptedClock(START, { auto: true });
  const upstream = await startUpstream(t, { key: CANARY, clock });
  const { port } = new URL(upstream.url);
  const resolveAll: ResolveAll = (_, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]);
  const feeds = Array.from(
    { length: 40 },
    (_, i) =>
      `  soc${i}: { preset: socdefenders, plan: pro, url: "http://feed${i}.test:${port}", internal: true, key: { env: SOC_KEY } }`,
  );
  const yaml = `
data: ./data
feeds:
${feeds.join('\n')}
pools: { main: { feeds: [soc0] } }
collections: { all: { pool: main } }
`;
  const { side } = await openGateway(t, t.testdir(), yaml, { clock, env: { SOC_KEY: CANARY }, resolveAll });
  upstream.faults = [{ status: 302, headers: { location: `http://www.feed0.test:${port}/api/v1/iocs` } }];
  const refused = await side.poll('soc0');
  t.match(refused, { outcome: 'failed', error: { message: /^www\.feed0\.test is at an address inside this network/ } });
  t.equal(upstream.requests.length, 1, 'the redirect was not followed');
  const waiting: (() => void)[] = [];
  upstream.down = (_, reply) => void waiting.push(() => answer(reply, 200, { data: [] }));
  const polls = feeds.slice(1).map((_, i) => side.poll(`soc${i + 1}`));
  while (waiting.length < 16) await new Promise((resolve) => setImmediate(resolve));
  for (let i = 0; i < 50; i += 1) await new Promise((resolve) => setImmediate(resolve));
  t.equal(waiting.length, 16);
  upstream.down = null;
  for (const go of waiting) go();
  t.ok(
    (await Promise.all(polls)).every(({ outcome }) => outcome === 'whole'),
    'the others had their turn',
  );
});
