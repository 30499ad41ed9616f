// slow (30 s): each preset polls its list for a week of faults, and OASIS' validator judges what is served
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { makePresetList } from '../../docs/presets.ts';
import { findPresets, type Preset, presets, presetYaml, promiseOf } from '../../src/feeds/presets.ts';
import { MICROS_PER_DAY } from '../../src/model/clock.ts';
import { parseDuration } from '../../src/model/duration.ts';
import { parseTimestamp } from '../../src/model/timestamp.ts';
import { scriptedClock } from '../helpers/clock.ts';
import { openGateway, type TestGateway } from '../helpers/gateway.ts';
import { judgeStix } from '../helpers/judge-stix.ts';

const fixtures = new URL('../fixtures/feeds/', import.meta.url);
const KEY = 'k3y-0123456789abcdef';
const MISP_WEEK = '2025-11-20T04:00:00Z';

/** What each preset's upstream sends: one file, or the files of a folder. A preset without a list here does not compile in. */
const lists: Record<string, string | Record<string, string>> = {
  abuseipdb: 'json/abuseipdb.json',
  'blocklist-de': 'text/blocklist-de/list.txt',
  cins: 'text/cins/list.txt',
  'cisa-kev': 'json/cisa-kev.json',
  'crowdsec-blocklist': 'presets/crowdsec-blocklist.list.txt',
  dshield: 'text/dshield/list.txt',
  'et-compromised': 'text/et-compromised/list.txt',
  feodo: 'csv/feodo.csv',
  'firehol-level1': 'text/firehol/list.txt',
  greynoise: 'presets/greynoise.list.json',
  'hagezi-tif': 'presets/hagezi-tif.list.txt',
  ipsum: 'text/ipsum/list.txt',
  malwarebazaar: 'csv/malwarebazaar.csv',
  'misp-botvrij': {
    'manifest.json': 'misp/botvrij/manifest.json',
    '5D2F1C3A-0000-4B1E-9D51-4F2A950D2100.json': 'misp/botvrij/5D2F1C3A-0000-4B1E-9D51-4F2A950D2100.json',
  },
  'misp-circl': {
    'manifest.json': 'misp/circl/manifest.json',
    '5d2f1c3a-3b7c-4b1e-9d51-4f2a950d210f.json': 'misp/circl/5d2f1c3a-3b7c-4b1e-9d51-4f2a950d210f.json',
  },
  openphish: 'text/openphish/list.txt',
  otx: 'json/otx-pulses.json',
  'phishing-army': 'presets/phishing-army.list.txt',
  'spamhaus-asndrop': 'json/spamhaus-asndrop.json',
  'spamhaus-drop': 'json/spamhaus-drop-v4.json',
  'spamhaus-drop-v6': 'json/spamhaus-drop-v6.json',
  threatfox: 'csv/threatfox.csv',
  'tor-exits': 'text/tor-bulk-exits/list.txt',
  tweetfeed: 'csv/tweetfeed.csv',
  urlhaus: 'csv/urlhaus-compromised.csv',
};
/** Their formats have upstreams of their own: test/feeds/socdefenders.test.ts, taxii.test.ts. */
const elsewhere = ['crowdsec-taxii', 'socdefenders', 'socdefenders-taxii'];

/** A list without rows says that all are gone: news without rows say nothing. */
function isSnapshot({ format, options }: Preset): boolean {
  return options['mode'] !== 'delta' && options['since'] === undefined && format !== 'misp-feed';
}

type Reply = { status: number; body: string; headers?: Record<string, string> };

/** A server of one preset's list, which `fault` may replace. */
async function startList(t: Test, name: string) {
  const files = lists[name] ?? {};
  const asked: string[] = [];
  const upstream: { fault: Reply | null; hasMoved: boolean; asked: string[]; url: string } = {
    fault: null,
    hasMoved: false,
    asked,
    url: '',
  };
  const server = createServer((request, reply) => {
    const path = request.url ?? '';
    asked.push(path);
    const { fault } = upstream;
    if (fault !== null) return reply.writeHead(fault.status, fault.headers).end(fault.body);
    if (upstream.hasMoved && !path.startsWith('/moved/')) {
      return reply.writeHead(302, { location: `/moved${path}` }).end();
    }
    const file = typeof files === 'string' ? files : files[path.split('/').at(-1) ?? ''];
    if (file === undefined) return reply.writeHead(404).end();
    return reply.end(readFileSync(new URL(file, fixtures)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  upstream.url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  return upstream;
}

/** The configuration that a user would write, with another address. */
function yamlOf(name: string, { facts, options }: Preset, url: string): string {
  const own = String(options['url'] ?? `${url}/list`);
  const rest = own.replace(/^https:\/\/[^/]+/, '');
  const asked = Object.keys(facts.asks ?? {})
    .filter((key) => key !== 'url')
    .map((key) => `    ${key}: someone`);
  return `
data: ./data
feeds:
  one:
    preset: ${name}
    url: '${url}${rest.startsWith('http') ? '/list' : rest}'
    internal: true
    expect_rows: { min: 1 }
    ${options['fallback_urls'] === undefined ? '' : `fallback_urls: ['${url}/copy?since={since}']`.replace('?since={since}', name === 'otx' ? '?since={since}' : '')}
    ${facts.key === 'required' ? 'key: { env: KEY }' : ''}
${asked.join('\n')}
# What is read is looked at, not what warning lists leave out of it.
pools: { main: { feeds: [one], warning_lists: off } }
collections: { all: { pool: main } }
`;
}

interface Served {
  rows: { pattern: string; labels?: string[]; confidence?: number; references?: unknown[] }[];
  objects: Record<string, unknown>[];
}

/** `url`: where the upstream listens this time. */
async function servedBy({ app, key }: TestGateway, url: string): Promise<Served> {
  const reply = await app.inject({
    url: '/api/taxii2/api/collections/all/objects/?limit=1000',
    headers: { authorization: `Bearer ${key}`, accept: 'application/taxii+json;version=2.1' },
  });
  const objects: Record<string, unknown>[] =
    JSON.parse(reply.payload.replaceAll(url, 'https://upstream.example')).objects ?? [];
  const rows = objects
    .filter(({ pattern, type }) => pattern !== undefined || type === 'vulnerability')
    .map((object) => ({
      pattern: String(object['pattern'] ?? object['name']),
      ...(object['labels'] === undefined ? {} : { labels: object['labels'] as string[] }),
      ...(object['confidence'] === undefined ? {} : { confidence: object['confidence'] as number }),
      ...(object['external_references'] === undefined
        ? {}
        : { references: object['external_references'] as unknown[] }),
    }))
    .sort((a, b) => (a.pattern < b.pattern ? -1 : 1));
  return { rows, objects };
}

async function refusedBy({ side }: TestGateway): Promise<string[]> {
  const { rows } = await side.rejections('one', 100);
  return rows
    .filter(({ isNote }) => !isNote)
    .map(({ reason, row }) => `${reason}: ${row.slice(0, 120)}`)
    .sort();
}

const HTML =
  '<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>';

/** What upstreams did to their readers, by reports: each must leave what was served. */
const faults: [string, Reply][] = [
  ['403 to cloud addresses', { status: 403, body: HTML, headers: { 'content-type': 'text/html' } }],
  ['504', { status: 504, body: 'gateway timeout' }],
  ['a page for people in place of the list', { status: 200, body: HTML, headers: { 'content-type': 'text/html' } }],
  [
    'a list that moved to another site',
    { status: 302, body: '', headers: { location: 'https://elsewhere.example/x' } },
  ],
  ['404', { status: 404, body: 'not found' }],
];

t.test('every preset has a list here, or a test elsewhere', (t) => {
  t.strictSame([...Object.keys(lists), ...elsewhere].sort(), Object.keys(presets).sort());
  t.end();
});

/** All objects that were served, as JSON. */
const served: string[] = [];

for (const [name, preset] of Object.entries(presets)) {
  if (elsewhere.includes(name)) continue;
  t.test(`${name}: its list becomes valid STIX, and a week of faults withdraws nothing`, async (t) => {
    // Rows of MISP's events age: they are read in the week in which the events were made.
    const start = name.startsWith('misp') ? MISP_WEEK : '2026-11-28T00:00:00Z';
    const clock = scriptedClock(parseTimestamp(start) as number, { auto: true });
    const upstream = await startList(t, name);
    const yaml = yamlOf(name, preset, upstream.url);
    const gateway = await openGateway(t, t.testdir(), yaml, { clock, env: { KEY } });
    const first = await gateway.side.poll('one');
    t.equal(first.outcome, 'whole', JSON.stringify(first.error));
    const before = await servedBy(gateway, upstream.url);
    t.ok(before.rows.length > 0, 'something is served');
    const expected = new URL(`presets/${name}.expected.json`, fixtures);
    t.same({ served: before.rows, refused: await refusedBy(gateway) }, JSON.parse(readFileSync(expected, 'utf8')));
    const texts = before.objects.map((object) => JSON.stringify(object));
    served.push(...texts);
    const credit = preset.options['attribution'];
    if (credit !== undefined) {
      const carries = before.rows.every(({ references = [] }) => JSON.stringify(references).includes(String(credit)));
      t.ok(carries, 'every indicator carries the credit');
    }

    for (const [fault, reply] of faults) {
      upstream.fault = reply;
      await clock.sleep(MICROS_PER_DAY / 1000, new AbortController().signal);
      const { outcome } = await gateway.side.poll('one');
      t.ok(outcome === 'failed' || outcome === 'held-back', `${fault}: ${outcome}`);
      t.same((await servedBy(gateway, upstream.url)).rows, before.rows, `${fault}: all is served as before`);
    }
    if (isSnapshot(preset) && preset.options['empty_allowed'] !== true) {
      upstream.fault = { status: 200, body: preset.format === 'csv' ? '# nothing\n' : '' };
      await clock.sleep(MICROS_PER_DAY / 1000, new AbortController().signal);
      const { outcome } = await gateway.side.poll('one');
      t.ok(outcome === 'failed' || outcome === 'held-back', `an empty list: ${outcome}`);
      t.same((await servedBy(gateway, upstream.url)).rows, before.rows, 'an empty list: all is served as before');
    }
    upstream.fault = null;
    await clock.sleep(MICROS_PER_DAY / 1000, new AbortController().signal);
    const again = await gateway.side.poll('one');
    t.match(again.outcome, /^(?:whole|unchanged)$/, 'and the week ends well');
    upstream.hasMoved = true;
    const moved = await gateway.side.poll('one');
    t.match(moved.outcome, /^(?:whole|unchanged)$/, 'a list that moved within its site is followed');
    t.ok(upstream.asked.some((path) => path.startsWith('/moved/')));
    const after = (await servedBy(gateway, upstream.url)).rows;
    const promise = parseDuration(promiseOf(preset) ?? '');
    if (promise !== undefined) {
      await clock.sleep(promise + MICROS_PER_DAY / 1000, new AbortController().signal);
      t.match((await gateway.side.poll('one')).outcome, /^(?:whole|unchanged)$/);
      t.match(
        (await gateway.side.status()).feeds,
        [{ stalled: /^The list last changed at / }],
        'a list that stands still is marked',
      );
      t.same((await servedBy(gateway, upstream.url)).rows, after, 'and nothing of it is withdrawn');
    }
    t.notMatch(JSON.stringify(await gateway.side.status()), KEY, 'the key is shown nowhere');
  });
}

t.test('OASIS’ validator has nothing against what all of them serve', async (t) => {
  for (const { id, errors } of (await judgeStix(t, served)) ?? []) t.same(errors, [], id);
});

t.test(
  'days of 504 withdraw nothing until outage_limit, and then what its lifetime ends; its return brings all back',
  async (t) => {
    const clock = scriptedClock(parseTimestamp('2026-11-28T00:00:00Z') as number, { auto: true });
    const upstream = await startList(t, 'tor-exits');
    const yaml = yamlOf('tor-exits', presets['tor-exits'] as Preset, upstream.url);
    const gateway = await openGateway(t, t.testdir(), yaml, { clock });
    t.equal((await gateway.side.poll('one')).outcome, 'whole');
    const { rows } = await servedBy(gateway, upstream.url);
    const day = async () => {
      await clock.sleep(MICROS_PER_DAY / 1000, new AbortController().signal);
      await gateway.side.tick();
      const { outcome } = await gateway.side.poll('one');
      return { outcome, live: (await gateway.side.status()).feeds[0]?.served[0]?.live };
    };
    upstream.fault = { status: 504, body: 'gateway timeout' };
    for (let days = 1; days <= 29; days += 1) {
      // Its rows live for two days.
      t.strictSame(await day(), { outcome: 'failed', live: rows.length }, `day ${days}`);
    }
    await day();
    t.strictSame(await day(), { outcome: 'failed', live: 0 }, 'after the outage limit of 30 days');
    upstream.fault = null;
    await day();
    t.match((await gateway.side.status()).feeds, [{ served: [{ live: rows.length }] }]);
  },
);

t.test('a list that is far smaller than usual is held back; its rows are served all the same', async (t) => {
  const upstream = await startList(t, 'cins');
  const yaml = yamlOf('cins', presets['cins'] as Preset, upstream.url).replace('{ min: 1 }', '{ min: 1000 }');
  const gateway = await openGateway(t, t.testdir(), yaml, { clock: scriptedClock(0, { auto: true }) });
  const { outcome, error } = await gateway.side.poll('one');
  t.equal(outcome, 'held-back');
  t.match(error?.message, /at least 1000 are expected/);
  t.ok((await servedBy(gateway, upstream.url)).rows.length > 0);
});

t.test('an interval below the publisher’s minimum needs a reason', async (t) => {
  const yaml = (more: string) =>
    `data: ./data\nfeeds: { one: { preset: spamhaus-drop, every: 10m${more} } }\npools: { main: { feeds: [one] } }\ncollections: { all: { pool: main } }\n`;
  const open = async (more: string) => openGateway(t, t.testdir(), yaml(more), {});
  await t.rejects(open(''), /at least 1h; to go below it say why in override_minimum/);
  const { side } = await open(', override_minimum: "a licence that allows it"');
  t.ok(side);
});

t.test('presets are found by words, and show the lines to paste', (t) => {
  t.strictSame(
    findPresets(['SPAMHAUS', 'network']).map(([name]) => name),
    ['spamhaus-asndrop', 'spamhaus-drop', 'spamhaus-drop-v6'],
  );
  t.strictSame(findPresets(['no-such-word']), []);
  t.equal(
    presetYaml('urlhaus', presets['urlhaus'] as Preset),
    'feeds:\n  urlhaus:\n    preset: urlhaus\n    key: { env: URLHAUS_KEY }\n',
  );
  t.end();
});

t.test('docs/presets.md is up to date (node docs/generate.ts)', (t) => {
  const made = readFileSync(fileURLToPath(new URL('../../docs/presets.md', import.meta.url)), 'utf8');
  t.equal(made, makePresetList());
  t.end();
});
