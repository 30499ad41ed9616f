import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { json } from '../../src/feeds/json.ts';
import type { GatewayError } from '../../src/model/error.ts';
import type { Observation } from '../../src/model/observation.ts';
import { formatMillis } from '../../src/model/timestamp.ts';
import { normalise } from '../../src/normalise/normalise.ts';
import { openFeedBench, pull } from '../helpers/feed.ts';
import { feed as feedOf } from '../helpers/journals.ts';

const NOW = Date.UTC(2026, 10, 28) * 1000;

const fixture = (name: string) => readFileSync(new URL(`../fixtures/feeds/json/${name}.json`, import.meta.url));

async function pullText(t: Test, text: string | Buffer, options: object) {
  const base = t.testdir({ 'list.json': text });
  const bench = await openFeedBench(t, json, { path: './list.json', ...options }, { base });
  return pull(json, bench.context());
}

/** What is left of an observation when all that says nothing is taken away. */
function said({ observable, source, ...rest }: Observation): object {
  const { key: _, reportedAt: __, others: ___, ...others } = rest;
  const { feed_name: ____, ...details } = source;
  const times = new Set(['firstSeen', 'lastSeen', 'validFrom', 'validUntil']);
  const entries = Object.entries(others)
    .filter(([, value]) => value !== null && value !== false && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => [name, times.has(name) ? formatMillis(value as number) : value]);
  return { ...observable, ...details, ...Object.fromEntries(entries) };
}

/** The feeds that people read, as a configuration names their fields. */
const feeds: Record<string, { options: object; refused?: string[] }> = {
  threatfox: {
    options: {
      items: '$.data[*]',
      empty_where: { query_status: 'no_result' },
      null_words: ['None'],
      fields: {
        value: 'ioc',
        type: 'ioc_type',
        id: 'id',
        confidence: 'confidence_level',
        first_seen: 'first_seen',
        last_seen: 'last_seen',
        labels: ['threat_type', 'tags'],
        malware_family: 'malware_printable',
      },
    },
  },
  'urlhaus-export': {
    options: {
      items: '$.*[*]',
      fields: { value: 'url', first_seen: 'dateadded', last_seen: 'last_online', labels: ['threat', 'tags'] },
      constants: { type: 'url' },
    },
  },
  feodo: {
    options: {
      fields: {
        value: 'ip_address',
        port: 'port',
        first_seen: 'first_seen',
        last_seen: 'last_online',
        malware_family: 'malware',
      },
    },
  },
  'cisa-kev': {
    options: {
      items: '$.vulnerabilities[*]',
      expect_count: 'count',
      fields: {
        value: 'cveID',
        name: 'vulnerabilityName',
        description: 'shortDescription',
        first_seen: 'dateAdded',
        labels: 'knownRansomwareCampaignUse',
      },
      words: { labels: { Known: 'ransomware', Unknown: '' } },
      constants: { type: 'cve' },
    },
  },
  'spamhaus-drop-v4': {
    options: {
      lines: true,
      skip: { type: 'metadata' },
      expect_count: 'records',
      fields: { value: 'cidr', id: 'sblid' },
    },
  },
  'spamhaus-drop-v6': {
    options: {
      lines: true,
      skip: { type: 'metadata' },
      expect_count: 'records',
      fields: { value: 'cidr', id: 'sblid' },
    },
  },
  'spamhaus-asndrop': {
    options: {
      lines: true,
      skip: { type: 'metadata' },
      expect_count: 'records',
      fields: { value: 'asn', name: 'asname' },
      constants: { type: 'asn' },
    },
  },
  'otx-pulses': {
    options: {
      items: '$.results[*]',
      rows: 'indicators',
      fields: {
        value: 'indicator',
        type: 'type',
        first_seen: 'created',
        expires: 'expiration',
        description: ['description', '^.description'],
        name: '^.name',
        labels: '^.tags',
        tlp: '^.tlp',
        techniques: '^.attack_ids',
        malware_family: '^.$.malware_families[0]',
      },
    },
    refused: ['unknown-type'],
  },
  malwarebazaar: {
    options: {
      items: '$.data[*]',
      fields: {
        value: ['sha256_hash', 'sha1_hash', 'md5_hash'],
        first_seen: 'first_seen',
        name: 'file_name',
        labels: 'tags',
        malware_family: 'signature',
      },
    },
  },
  phishtank: {
    options: {
      fields: { value: 'url', id: 'phish_id', first_seen: 'submission_time', labels: 'target' },
      null_words: ['Other'],
    },
  },
  abuseipdb: {
    options: {
      items: '$.data[*]',
      fields: { value: 'ipAddress', confidence: 'abuseConfidenceScore', last_seen: 'lastReportedAt' },
    },
  },
  greynoise: {
    options: {
      items: '$.data[*]',
      expect_count: 'count',
      fields: {
        value: 'ip',
        first_seen: 'first_seen',
        last_seen: 'last_seen',
        labels: ['classification', 'tags', 'metadata.country'],
        confidence: 'classification',
      },
      words: { confidence: { malicious: 90, unknown: 50, benign: 10 } },
    },
  },
};

for (const [name, { options, refused = [] }] of Object.entries(feeds)) {
  t.test(`${name}: its documented shape gives these rows`, async (t) => {
    const { error, items, rejected } = await pullText(t, fixture(name), options);
    t.equal(error, null);
    t.strictSame(rejected, []);
    const normalised = items.map((item) => normalise(item, feedOf('one'), NOW));
    const found = normalised.flatMap((one) => (one.kind === 'observations' ? one.observations.map(said) : []));
    t.strictSame(found, JSON.parse(fixture(`${name}.rows`).toString()));
    t.strictSame(
      normalised.flatMap((one) => ('notes' in one ? one.notes : [])),
      [],
    );
    t.strictSame(
      normalised.flatMap((one) => (one.kind === 'rejection' ? [one.rejection.reason] : [])),
      refused,
    );
  });
}

t.test('items stand where the path says, and fields where theirs say', async (t) => {
  const cases: [string, object, unknown[]][] = [
    ['["a.example","b.example"]', {}, ['a.example', 'b.example']],
    ['[["1","a.example"],["2","b.example"]]', { fields: { value: 2 } }, ['a.example', 'b.example']],
    ['{"a":{"b":[{"x":{"y":"a.example"}}]}}', { items: '$.a.b[*]', fields: { value: 'x.y' } }, ['a.example']],
    ['{"a.example":{},"b.example":{"n":1}}', { items: '$.*', fields: { value: 'n' } }, [undefined, 1]],
    ['{"data":{"k":{"v":"a.example"}}}', { items: '$.data[*]', fields: { value: 'v' } }, ['a.example']],
    [
      '{"d":[{"v":["a.example",{"v":"b.example"}]}]}',
      { items: '$.d[*]', fields: { value: "$..v[?@ == 'a.example']" } },
      ['a.example'],
    ],
    [
      '[{"v":"a.example","on":1},{"v":"b.example","on":0}]',
      { items: '$[?@.on == 1]', fields: { value: 'v' } },
      ['a.example'],
    ],
    ['{"v":"a.example"}', { items: '$', fields: { value: 'v' } }, ['a.example']],
    ['[{"a.b":"a.example"}]', { fields: { value: "$['a.b']" } }, ['a.example']],
    ['[{"a":[{"v":"a.example"},{"v":"b.example"}]}]', { fields: { value: '$.a[*].v' } }, ['a.example', 'b.example']],
    [
      '{"a":[{"v":"a.example"}],"b":[],"c":[{"v":"b.example"},{"v":"c.example"}]}',
      { items: '$.*[*]', fields: { value: 'v' } },
      ['a.example', 'b.example', 'c.example'],
    ],
    ['{"v":"a.example"}\r\n\r\n{"v":"b.example"}', { lines: true, fields: { value: 'v' } }, ['a.example', 'b.example']],
    ['\ufeff[{"v":"a.example"}]', { fields: { value: 'v' } }, ['a.example']],
    ['{"data":[]}', { items: '$.data[*]' }, []],
    [
      '{"query_status":"no_result","data":"nothing"}',
      { items: '$.data[*]', empty_where: { query_status: 'no_result' } },
      [],
    ],
    [
      '{"a":[{"s":"x","l":[{"v":"a.example"}]},{"s":"y","l":[]}]}',
      { items: '$.a[*]', rows: 'l', fields: { value: 'v', name: '^.s' } },
      ['a.example'],
    ],
  ];
  for (const [text, options, values] of cases) {
    const { error, items, rejected } = await pullText(t, text, options);
    t.equal(error, null, text);
    t.strictSame(rejected, []);
    t.strictSame(
      items.map((item) => ('value' in item ? item.value : null)),
      values,
      text,
    );
  }
});

t.test('a document that is no list as described is malformed, whatever it is', async (t) => {
  const data = { items: '$.data[*]', fields: { value: 'v' } };
  const cases: [string | Buffer, object, RegExp][] = [
    ['', {}, /it is empty/],
    ['<html>Just a moment', {}, /does not begin as JSON/],
    [Buffer.from('[{"v":1}]', 'utf16le'), {}, /./],
    [Buffer.from('\ufeff[{"v":1}]', 'utf16le'), {}, /does not begin as JSON/],
    ['{"error":"no such key"}', {}, /holds nothing at \$\[\*\]/],
    ['{"error":"no such key"}', data, /holds nothing at \$\.data\[\*\]/],
    ['{"query_status":"illegal","data":"text"}', data, /holds nothing at/],
    ['[{"v":"a.example"}]', data, /holds nothing at/],
    ['{"query_status":"unknown_auth_key"}', { items: '$.*[*]' }, /holds nothing at/],
    [
      '{"data":[{"v":"a.example"}],"error":"limit"}',
      { ...data, fail_where: { error: '*' } },
      /says that the request failed/,
    ],
    ['{"data":[{"v":"a.example"}', data, /./],
    ['{"data":[{"v":"a.example"},{"v":', data, /./],
    ['{"v":"a.example"}\n{"v":', { lines: true, fields: { value: 'v' } }, /its last line is cut/],
    [
      '{"count":3,"data":[{"v":"a.example"}]}',
      { ...data, expect_count: 'count' },
      /says that it holds 3 rows \(count\), and holds 1/,
    ],
    ['{"data":[{"v":"a.example"}]}', { ...data, expect_count: 'count' }, /does not say how many/],
    [
      '{"v":"a.example"}\n',
      { lines: true, fields: { value: 'v' }, skip: { type: 'metadata' }, expect_count: 'records' },
      /does not say how many/,
    ],
  ];
  for (const [text, options, message] of cases) {
    const { error, batches } = await pullText(t, text, options);
    t.match(error, { code: 'upstream-malformed', message }, JSON.stringify(String(text)));
    t.notOk(batches.some(({ last }) => last));
  }
  const right = await pullText(t, '{"data":[{"v":"a.example"}],"error":null,"count":"1"}', {
    ...data,
    fail_where: { error: '*' },
    expect_count: 'count',
  });
  t.equal(right.error, null);
});

t.test('options that contradict each other, and paths that are none, are refused', async (t) => {
  const url = 'https://feeds.example/list.json';
  const cases: [object, RegExp][] = [
    [{ items: '$.x[' }, /is no path/],
    [{ fields: { value: '$.x[' } }, /is no path/],
    [{ items: "$[?match(@.a, '(a+)+')]" }, /match\(\) and search\(\) are not offered/],
    [{ items: "$[?search(@.a, '(a+)+')]" }, /match\(\) and search\(\) are not offered/],
    [{ lines: true, items: '$[*]' }, /items goes without lines/],
    [{ since: {} }, /neither url nor headers nor body hold \{since\}/],
    [{ paging: { mode: 'page' } }, /paging goes with url/],
    [{ url, path: undefined, paging: { mode: 'cursor' } }, /paging.next is missing/],
    [{ url, path: undefined, paging: { mode: 'page', next: 'x' } }, /goes without mode page/],
    [{ url, path: undefined, paging: { mode: 'link', parameter: 'x' } }, /without mode link/],
    [{ url, path: undefined, paging: { mode: 'page', in: 'body' } }, /needs a body that is a mapping/],
    [{ url, path: undefined, paging: { mode: 'page' }, expect_count: 'x' }, /list of one page/],
    [{ url: `${url}?since={since}`, path: undefined }, /set since/],
  ];
  for (const [options, message] of cases) {
    const all = { path: './list.json', ...options } as Parameters<typeof json.defaults>[0];
    t.throws(() => json.defaults(all), { code: 'config-invalid', message }, JSON.stringify(options));
  }
});

const hostile = [
  `${'['.repeat(10_000)}${']'.repeat(10_000)}`,
  `{"a":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`,
  '{"__proto__":{"v":"a.example"},"constructor":1}',
  '{"v":{"__proto__":"x"}}',
  'null',
  '1e999',
  '"\\ud800"',
  '{"v":"\\u0000"}',
  '{"v":"=cmd|\' /C calc\'!A0"}',
  '[]',
  '{}',
];

t.test('a hostile item is a row or a rejection like any other, and changes no prototype', async (t) => {
  const text = `{"data":[${hostile.join(',')}]}`;
  for (const value of ['v', '$..v', '__proto__.v', 'toString', 'constructor.name']) {
    const { error, items, rejected } = await pullText(t, text, { items: '$.data[*]', fields: { value } });
    t.equal(error, null);
    t.equal(items.length + rejected.length, hostile.length);
    const values = items.map((item) => ('value' in item ? item.value : null));
    t.notOk(values.includes('Object') || values.some((one) => typeof one === 'function'));
    for (const item of items) normalise(item, feedOf('one'), NOW);
  }
  t.equal(({} as { v?: unknown }).v, undefined);
  const lines = await pullText(t, `{"v":"a.example"}\n${hostile.join('\n')}\nno json\n`, {
    lines: true,
    fields: { value: 'v' },
  });
  t.equal(lines.error, null);
  t.equal(lines.items.length + lines.rejected.length, hostile.length + 2);
});

t.test('rows in are rows accepted and rows rejected, for any JSON', async () => {
  const shapes = fc.constantFrom<[object, (rows: unknown[]) => string]>(
    [{}, (rows) => JSON.stringify(rows)],
    [{ items: '$.data[*]' }, (rows) => JSON.stringify({ a: 1, data: rows, b: [2] })],
    [{ items: '$.*[*]' }, (rows) => JSON.stringify(Object.fromEntries(rows.map((row, n) => [`"k\\${n}`, [row]])))],
    [{ items: '$.a.data[*]' }, (rows) => JSON.stringify({ a: { data: rows } })],
    [{ lines: true }, (rows) => ['{"v":"first"}', ...rows.map((row) => JSON.stringify(row))].join('\n')],
  );
  const fields = fc.constantFrom(
    { value: 'v' },
    { value: '$' },
    { value: '$..*' },
    { value: ['a', 1], labels: 'b' },
    undefined,
  );
  let n = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { minLength: 1 }),
      shapes,
      fields,
      async (rows, [options, write], named) => {
        n += 1;
        const base = t.testdir({ 'list.json': write(rows) });
        const context = {
          options: { path: 'x', ...options, ...(named === undefined ? {} : { fields: named }) },
          cursor: null,
          now: () => NOW,
          fetch: () => Promise.reject(new Error('no network')),
          files: async () => [
            { name: 'list.json', size: 0, fault: null, body: pieces(readFileSync(`${base}/list.json`), (n % 7) + 1) },
          ],
          signal: new AbortController().signal,
        };
        const { error, items, rejected } = await pull(json, context as never);
        if (error !== null) throw error;
        const expected = rows.length + ('lines' in options ? 1 : 0);
        const found = items.length + rejected.length;
        // A list of values in one field is a row each.
        const isSplit =
          named !== undefined && (named.value === '$..*' || Array.isArray(named.value) || named.value === 'v');
        if (isSplit ? found < expected : found !== expected) throw new Error(`${found} of ${expected}`);
      },
    ),
    { numRuns: 200 },
  );
});

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

t.test('an object of a million lists is read in bounded memory', async (t) => {
  const body = (async function* () {
    yield Buffer.from('{');
    for (let n = 0; n < 1000; n += 1) {
      const some = Array.from({ length: 1000 }, (_, m) => `"${'k'.repeat(30)}${n}-${m}":[{"v":"${n}-${m}.example"}]`);
      yield Buffer.from(`${n === 0 ? '' : ','}${some.join(',')}`);
    }
    yield Buffer.from('}');
  })();
  const context = {
    options: { path: 'x', items: '$.*[*]', fields: { value: 'v' } },
    cursor: null,
    now: () => NOW,
    fetch: () => Promise.reject(new Error('no network')),
    files: async () => [{ name: 'list.json', size: 0, fault: null, body }],
    signal: new AbortController().signal,
  };
  let rows = 0;
  for await (const { items, rejected } of json.read(context as never)) rows += items.length + rejected.length;
  t.equal(rows, 1_000_000);
});

t.test('errors of a document quote its beginning only', async (t) => {
  const { error } = await pullText(t, `{"message":"${'x'.repeat(500)}"}`, {});
  t.ok((error as GatewayError).excerpt?.length ?? 0 <= 80);
});

t.test('lists as people met them', async (t) => {
  // Lines with a byte that went wrong on the way, in the middle of sound ones.
  const lines = [
    '{"v":"a.example"}',
    '{"v":"b.example&**,"x":1}',
    '{"**j**ame":"x","v":"c.example"}',
    '{"v":"d.example"}',
  ];
  const sonar = await pullText(t, lines.join('\n'), { lines: true, fields: { value: 'v' } });
  t.equal(sonar.error, null);
  t.equal(sonar.items.length, 3);
  t.match(sonar.rejected, [{ reason: 'not-an-object', detail: /line 2/ }]);
  // A list of command servers that is nearly always empty.
  const feodo = await pullText(t, '[\r\n\r\n]\r\n', { fields: { value: 'ip_address' } });
  t.equal(feodo.error, null);
  t.ok(feodo.batches.at(-1)?.last);
  // Pulses of the other endpoint, which name no TLP.
  const pulses = JSON.parse(fixture('otx-pulses').toString());
  for (const pulse of pulses.results) delete pulse.tlp;
  const activity = await pullText(t, JSON.stringify(pulses), feeds['otx-pulses']?.options ?? {});
  t.equal(activity.items.length, 4);
  t.ok(activity.items.every((item) => !('tlp' in item)));
  // Lines where a document is expected.
  const whole = await pullText(t, '{"cidr":"198.51.100.0/24"}\n{"cidr":"203.0.112.0/24"}\n', {
    fields: { value: 'cidr' },
  });
  t.match(whole.error, { code: 'upstream-malformed', message: /holds nothing at \$\[\*\]/ });
});

t.test('a list at the end of several names may be of any size, one at the end of another path may not', async (t) => {
  const note = 'x'.repeat(1000);
  const rows = Array.from({ length: 20_000 }, (_, n) => JSON.stringify({ v: `host-${n}.example`, note }));
  const text = `{"x":{"items":[{"v":"other"}]},"data":{"of":[{"items":[{"v":"other"}]}],"items":[${rows.join(',')}]}}`;
  const fields = { value: 'v' };
  const { error, items } = await pullText(t, text, { items: '$.data.items[*]', fields });
  t.equal(error, null);
  t.equal(items.length, 20_000);
  t.notOk(items.some((item) => 'value' in item && item.value === 'other'));
  const held = await pullText(t, text, { items: '$.data.*[*]', fields });
  t.match(held.error, { code: 'upstream-too-large', message: /more than 16777216 bytes/ });
});

t.test('an item or a line beyond the bound does not fill the memory', async (t) => {
  const long = 'x'.repeat(17 * 1024 * 1024);
  const document = await pullText(t, `[{"v":"a.example"},{"v":"${long}"}]`, { fields: { value: 'v' } });
  t.match(document.error, { code: 'upstream-too-large' });
  const lines = await pullText(t, `{"v":"a.example"}\n{"v":"${long}"}\n{"v":"b.example"}\n`, {
    lines: true,
    fields: { value: 'v' },
  });
  t.equal(lines.error, null);
  t.equal(lines.items.length, 2);
  t.match(lines.rejected, [{ reason: 'too-long' }]);
});
