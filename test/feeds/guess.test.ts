import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import type { ConfiguredFeed, FeedContext, FeedResponse } from '../../src/feeds/feed.ts';
import type { Guess, Meaning } from '../../src/feeds/guess/columns.ts';
import { guessDocument } from '../../src/feeds/guess/document.ts';
import { guessing } from '../../src/feeds/guess.ts';
import { feedFormats } from '../../src/feeds/registry.ts';
import { GatewayError } from '../../src/model/error.ts';
import { canonical } from '../../src/normalise/canonical.ts';
import { typesOfWord } from '../../src/normalise/type-words.ts';

const meaning: Meaning = {
  isValue: (text) => !('rejection' in canonical(null, text)),
  isType: (word) => typesOfWord(word) !== null,
};
const guess = (text: string, mediaType = '', isWhole = true): Guess => guessDocument(text, isWhole, mediaType, meaning);
const fixture = (name: string): string =>
  readFileSync(new URL(`../fixtures/feeds/${name}`, import.meta.url), 'utf8').replace(/^\ufeff/, '');

t.test('well-known lists are read as their publishers mean them', async (t) => {
  const cases: [string, string, Record<string, unknown>][] = [
    [
      'csv/urlhaus.csv',
      'csv',
      { columns: 'comment', fields: { value: 'url', first_seen: 'dateadded', labels: 'tags' } },
    ],
    [
      'csv/threatfox.csv',
      'csv',
      { columns: 'comment', fields: { value: 'ioc_value', type: 'ioc_type', confidence: 'confidence_level' } },
    ],
    ['csv/feodo.csv', 'csv', { columns: 'header', fields: { value: 'dst_ip', port: 'dst_port' } }],
    ['csv/cisa-kev.csv', 'csv', { columns: 'header', fields: { value: 'cveID', first_seen: 'dateAdded' } }],
    ['csv/tweetfeed.csv', 'csv', { columns: 'none', fields: { value: 4 } }],
    ['text/dataplane/list.txt', 'csv', { delimiter: 'pipe', columns: 'comment', fields: { value: 'ipaddr' } }],
    ['json/threatfox.json', 'json', { items: '$.data[*]', fields: { value: 'ioc', type: 'ioc_type' } }],
    ['json/urlhaus-export.json', 'json', { items: '$.*[*]', fields: { value: 'url' } }],
    ['json/feodo.json', 'json', { items: '$[*]', fields: { value: 'ip_address', malware_family: 'malware' } }],
    ['json/otx-pulses.json', 'json', { rows: 'indicators', fields: { value: 'indicator', type: 'type' } }],
    ['json/spamhaus-asndrop.json', 'json', { lines: true, fields: { value: 'asn' }, constants: { type: 'asn' } }],
    ['text/tor-exit-addresses/list.txt', 'text', { pattern: /ExitAddress/ }],
    ['json/spamhaus-drop-v4.json', 'json', { lines: true, fields: { value: 'cidr' } }],
    ['text/adblock/list.txt', 'text', { layout: 'adblock' }],
    ['text/hosts/list.txt', 'text', { layout: 'hosts' }],
    ['text/ipsum/list.txt', 'csv', { delimiter: 'tab', fields: { value: 1 } }],
    ['text/cins/list.txt', 'text', {}],
    ['text/firehol/list.txt', 'text', {}],
    ['text/openphish/list.txt', 'text', {}],
  ];
  for (const [name, format, options] of cases) {
    const found = guess(fixture(name));
    t.equal(found.format, format, name);
    t.match(found.options, options, name);
  }
});

t.test('documents of other kinds are told by what they hold', async (t) => {
  const indicator = { type: 'indicator', id: 'indicator--00000000-0000-4000-8000-000000000001' };
  t.equal(guess(JSON.stringify({ type: 'bundle', objects: [indicator] })).format, 'stix');
  t.equal(guess(JSON.stringify({ more: false, objects: [indicator] })).format, 'stix');
  t.equal(guess(`${JSON.stringify(indicator)}\n${JSON.stringify(indicator)}\n`).format, 'stix');
  t.equal(guess('{"title":"A server","api_roots":["/api/"]}').format, 'taxii');
  t.equal(guess('{}', 'application/taxii+json;version=2.1').format, 'taxii');
  const event = { Orgc: { name: 'x' }, info: 'An event', timestamp: '1700000000' };
  t.equal(guess(JSON.stringify({ '5b3dfbd8-0000-4000-8000-000000000001': event })).format, 'misp-feed');
  t.match(guess('host 198.51.100.1 is bad\nhost 198.51.100.2 is worse\n').options, { fields: { value: 2 } });
  t.strictSame(guess('["198.51.100.1","198.51.100.2"]').options, { items: '$[*]', fields: { value: '$' } });
  for (const nothing of ['', ' \n', '{"error":"no key"}', '[]', 'Please sign in first.\n', '# only a comment\n']) {
    t.throws(() => guess(nothing), { code: 'upstream-malformed' }, JSON.stringify(nothing));
  }
});

t.test('a list that no column tells names the preset that reads it, and takes nothing that is like it', async (t) => {
  for (const [name, preset] of [
    ['json/otx-pulses.json', /preset otx /],
    ['json/spamhaus-asndrop.json', /preset spamhaus-asndrop /],
    ['text/tor-exit-addresses/list.txt', /preset tor-exits /],
  ] as const) {
    t.match(guess(fixture(name)).why, preset);
  }
  const asn =
    '{"asn":64511,"ip":"198.51.100.1"}\n{"asn":64512,"ip":"198.51.100.2"}\n{"asn":64513,"ip":"198.51.100.3"}\n';
  t.match(guess(asn).options, { fields: { value: 'ip' } }, 'an asn beside an address is said of the address');
  t.match(guess('ExitNode\n198.51.100.1\n198.51.100.2\n198.51.100.3\n').options, {}, 'a word alone is no block');
  t.match(guess('{"results":[{"ioc":"198.51.100.1"},{"ioc":"198.51.100.2"}]}').options, { fields: { value: 'ioc' } });
});

t.test('a document that is cut is guessed from what is whole of it', async (t) => {
  const items = Array.from({ length: 50 }, (_, n) => ({ ioc: `198.51.100.${n}`, tags: ['a,b', '"]'], n: { x: [n] } }));
  const whole = JSON.stringify({ ok: true, data: items });
  const expected = guess(whole);
  fc.assert(
    fc.property(fc.integer({ min: 120, max: whole.length - 1 }), (length) => {
      t.strictSame(guess(whole.slice(0, length), '', false), expected);
    }),
    { numRuns: 60 },
  );
});

const value = fc.oneof(
  fc.ipV4().filter((address) => meaning.isValue(address)),
  fc.stringMatching(/^[a-z]{4,12}\.example\.com$/),
);
const word = fc.stringMatching(/^[A-Z][a-z]{2,8} [a-z]{2,8}$/).filter((text) => !meaning.isValue(text));

t.test('the column of a table that holds values is found, whatever stands around it', async (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(value, word, word), { minLength: 4, maxLength: 30 }),
      fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      fc.constantFrom([',', 'comma'], [';', 'semicolon'], ['\t', 'tab'], ['|', 'pipe']),
      fc.boolean(),
      (rows, order, [delimiter = '', name = ''], hasHeader) => {
        const names = ['entry', 'note', 'group'];
        const lines = [...(hasHeader ? [names] : []), ...rows].map((cells) =>
          order.map((i) => cells[i]).join(delimiter),
        );
        const found = guess(`${lines.join('\n')}\n`);
        const at = order.indexOf(0) + 1;
        t.equal(found.format, 'csv');
        t.match(found.options, { fields: { value: hasHeader ? 'entry' : at }, columns: hasHeader ? 'header' : 'none' });
        t.equal(found.options['delimiter'] ?? 'comma', name);
      },
    ),
    { numRuns: 60 },
  );
});

t.test('nothing that comes makes it fail in another way than it says', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.json({ maxDepth: 5 }),
    fc.constant('['.repeat(60_000)),
  );
  fc.assert(
    fc.property(text, fc.boolean(), (start, isWhole) => {
      try {
        guess(start, '', isWhole);
      } catch (error) {
        return error instanceof GatewayError && error.code === 'upstream-malformed';
      }
      return true;
    }),
    { numRuns: 300 },
  );
});

t.test('the guessed format reads the same answer from its first byte, packed or not', async (t) => {
  const lines = Array.from({ length: 20_000 }, (_, n) => `198.51.${n >> 8}.${n & 255}`);
  const list = `${lines.join('\n')}\n`;
  for (const bytes of [Buffer.from(list), gzipSync(list)]) {
    let fetched = 0;
    const fetch = async (): Promise<FeedResponse> => {
      fetched += 1;
      const body = (async function* () {
        for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
      })();
      return { status: 200, headers: {}, body, json: async () => t.fail('is not asked for') };
    };
    const format = guessing(meaning, ({ format, options }) => {
      const feed = {
        format: feedFormats[format as keyof typeof feedFormats],
        options: { layout: 'lines', skip: 0, ...options, url: 'https://x.example/' },
      };
      return feed as unknown as ConfiguredFeed;
    });
    const feed = { options: { url: 'https://x.example/' }, cursor: null, fetch, signal: new AbortController().signal };
    const values: unknown[] = [];
    for await (const { items } of format.read(feed as unknown as FeedContext<typeof feed.options>)) {
      for (const item of items) values.push('value' in item ? item.value : null);
    }
    t.equal(fetched, 1);
    t.strictSame(values, lines);
  }
});
