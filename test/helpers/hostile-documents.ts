import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { feedFormats } from '../../src/feeds/registry.ts';
import { Secret } from '../../src/model/secret.ts';
import { uuidOf } from './store.ts';
import { tarOf } from './tar.ts';
import { zipOf } from './zip.ts';

/** A format as hostile documents are fed to it: its options, and how it writes down rows. */
export interface HostileSubject {
  options: object;
  /** What is around rows. `rows`: each the text of a JSON value, which formats without JSON write as it is. */
  document(rows: readonly string[]): string;
  /** A sound row about a domain, as JSON text. */
  row(n: number): string;
  /** What an upstream answers behind the document, where a format asks on until nothing comes; null: it reads files. */
  end: string | null;
}

const rowOf = (n: number) => ({ value: `host-${n}.example.com`, type: 'domain', id: uuidOf(`row ${n}`) });
const attributeOf = (n: number) => ({ ...rowOf(n), uuid: uuidOf(`row ${n}`), to_ids: true, timestamp: '1767225600' });
const indicatorOf = (n: number) => ({
  type: 'indicator',
  id: `indicator--${uuidOf(`row ${n}`)}`,
  pattern: `[domain-name:value = 'host-${n}.example.com']`,
});
const quoted = (row: string): string => `"${row.replaceAll('"', '""')}"`;
const json = (value: object): string => JSON.stringify(value);
let versions = 0;
const key = new Secret('key-of-a-hostile-upstream');

/** Every registered format, and formats that read in several ways in each. A format without an entry does not compile. */
export const hostileSubjects: Record<keyof typeof feedFormats, Record<string, HostileSubject>> = {
  // Reads no document: what clients contribute is checked when they send it.
  collection: {},
  csv: {
    table: {
      options: { path: 'x', fields: { value: 'value', labels: 'note' } },
      document: (rows) => `value,note\n${rows.map((row) => `${quoted(row)},x\n`).join('')}`,
      row: (n) => rowOf(n).value,
      end: null,
    },
  },
  json: {
    list: {
      options: { path: 'x', items: '$.data[*]', fields: { value: 'value', type: 'type', id: 'id' } },
      document: (rows) => `{"status":"ok","data":[${rows.join(',')}]}`,
      row: (n) => json(rowOf(n)),
      end: null,
    },
    held: {
      options: { path: 'x', items: '$..data[*]', fields: { value: '$.value' } },
      document: (rows) => `{"status":"ok","data":[${rows.join(',')}]}`,
      row: (n) => json(rowOf(n)),
      end: null,
    },
    lines: {
      options: { path: 'x', lines: true, fields: { value: 'value' } },
      document: (rows) => rows.map((row) => `${row}\n`).join(''),
      row: (n) => json(rowOf(n)),
      end: null,
    },
  },
  'misp-feed': {
    event: {
      options: { path: 'x', to_ids: 'only' },
      // Each time in a new version: one that was read is passed over.
      document: (rows) =>
        `{"Event":{"uuid":"${uuidOf('event')}","timestamp":"${++versions}","Attribute":[${rows.join(',')}]}}`,
      row: (n) => json(attributeOf(n)),
      end: null,
    },
  },
  'misp-rest': {
    page: {
      options: { url: 'http://misp.example', key, to_ids: 'only', overlap: 0, page_size: 1000, published: true },
      document: (rows) => `{"response":{"Attribute":[${rows.join(',')}]}}`,
      row: (n) => json(attributeOf(n)),
      end: '{"response":{"Attribute":[]}}',
    },
  },
  socdefenders: {
    page: {
      options: { url: 'http://soc.example', key, plan: 'pro' },
      document: (rows) => `{"meta":{},"data":[${rows.join(',')}]}`,
      row: (n) => json(rowOf(n)),
      end: '{"data":[]}',
    },
  },
  stix: {
    bundle: {
      options: { path: 'x' },
      document: (rows) => `{"type":"bundle","id":"bundle--1",\n"objects":[${rows.join(',')}]}`,
      row: (n) => json(indicatorOf(n)),
      end: null,
    },
  },
  taxii: {
    page: {
      options: { url: 'http://taxii.example/root/collections/one/', mode: 'snapshot' },
      document: (rows) => `{"more":false,"objects":[${rows.join(',')}]}`,
      row: (n) => json(indicatorOf(n)),
      end: '{"objects":[]}',
    },
  },
  text: {
    lines: {
      options: { path: 'x' },
      document: (rows) => rows.map((row) => `${row}\n`).join(''),
      row: (n) => rowOf(n).value,
      end: null,
    },
    expression: {
      options: { path: 'x', pattern: '(?P<value>(?:[a-z0-9-]+[.]?)+)$' },
      document: (rows) => rows.map((row) => `${row}\n`).join(''),
      row: (n) => rowOf(n).value,
      end: null,
    },
  },
};

const DEEP = 10_000;

/** What stands where a row should: as JSON text. */
const oddRow = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc.constantFrom(
    `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`,
    `${'{"value":'.repeat(DEEP)}1${'}'.repeat(DEEP)}`,
    '{"__proto__":{"value":"a.example"},"constructor":1,"value":"b.example.com"}',
    '{"value":{"__proto__":"x"},"type":"__proto__","id":"constructor","uuid":"toString"}',
    '{"type":"indicator","id":"__proto__","pattern":"[x:y = 1]"}',
    '{"value":"=cmd|\' /C calc\'!A0","type":"domain"}',
    '=HYPERLINK("http://a.example/")',
    '{"value":"\\u0000","type":"\\ud800"}',
    `{"value":"${'a'.repeat(9000)}!","type":"url"}`,
    '{"value":"192.0.2.9-192.0.2.1"}',
    '1e999',
    '"\\ud800"',
    'null',
    '"',
    '',
    'a,b"c',
  ),
);

export type HostileRows = readonly (string | null)[];

/** Null stands for a sound row of the format. */
export const hostileRows: fc.Arbitrary<HostileRows> = fc.array(
  fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: oddRow }),
  { maxLength: 12 },
);

/** What happens to documents on their way, by name. `at`, from 0 to 1: where. */
const ways: Record<string, (bytes: Buffer, at: number) => Buffer | Promise<Buffer>> = {
  none: (bytes) => bytes,
  'cut short': (bytes, at) => cut(bytes, at),
  'UTF-16 little-endian': (bytes) => Buffer.from(`\ufeff${bytes}`, 'utf16le'),
  'UTF-16 big-endian': (bytes) => Buffer.from(`\ufeff${bytes}`, 'utf16le').swap16(),
  'UTF-16 without its mark': (bytes) => Buffer.from(bytes.toString(), 'utf16le'),
  'UTF-16 that stops in a character': (bytes) => Buffer.from(`\ufeff${bytes}`, 'utf16le').subarray(0, -1),
  'a byte order mark': (bytes) => Buffer.from(`\ufeff${bytes}`),
  'Latin-1': (bytes, at) => insert(bytes, at, Buffer.from('M\xfcller', 'latin1')),
  CRLF: (bytes) => Buffer.from(bytes.toString().replaceAll('\n', '\r\n')),
  CR: (bytes) => Buffer.from(bytes.toString().replaceAll('\n', '\r')),
  'NUL bytes': (bytes, at) => insert(bytes, at, Buffer.alloc(3)),
  'a flipped bit': (bytes, at) => bytes.map((byte, i) => (i === placeIn(bytes, at) ? byte ^ 1 : byte)) as Buffer,
  noise: (bytes, at) => bytes.map((byte, i) => byte ^ Math.floor(at * 251 * i)) as Buffer,
  'an open quote': (bytes, at) => insert(bytes, at, Buffer.from('"')),
  'open brackets': (bytes, at) => insert(bytes, at, Buffer.from('['.repeat(DEEP))),
  'twice, one behind the other': (bytes) => Buffer.concat([bytes, bytes]),
  gzip: (bytes) => gzipSync(bytes),
  'gzip that was cut': (bytes, at) => cut(gzipSync(bytes), at),
  zip: (bytes) => zipOf([{ name: 'a/b.txt', content: bytes }]),
  'zip with a path out of it': (bytes) => zipOf([{ name: '../../etc/passwd', content: bytes }]),
  'zip that was cut': (bytes, at) => cut(zipOf([{ name: 'a.txt', content: bytes }]), at),
  tar: (bytes) => tarOf([{ name: '../../../etc/passwd', content: bytes }]),
  'tar that was cut': async (bytes, at) => cut(await tarOf([{ name: '/etc/passwd', content: bytes }]), at),
};

export const distortions = Object.keys(ways);

export async function distort(name: string, bytes: Buffer, at: number): Promise<Buffer> {
  return ways[name]?.(bytes, at) ?? bytes;
}

const cut = (bytes: Buffer, at: number): Buffer => bytes.subarray(0, placeIn(bytes, at));

function placeIn(bytes: Buffer, at: number): number {
  return Math.floor(at * bytes.length);
}

function insert(bytes: Buffer, at: number, more: Buffer): Buffer {
  const place = placeIn(bytes, at);
  return Buffer.concat([bytes.subarray(0, place), more, bytes.subarray(place)]);
}
