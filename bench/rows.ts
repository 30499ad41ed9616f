import { hash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../src/model/json.ts';
import { formatMillis, parseTimestamp } from '../src/model/timestamp.ts';

/** Rows as SOC Defenders sends them, the same in every run: row `n` is always about the same thing. */

const NEWEST = parseTimestamp('2026-11-20T10:11:12.345Z') as number;
const SECOND = 1_000_000;
/** Rows of one answer of the upstream. */
export const PAGE_ROWS = 1000;

const publishers = ['URLhaus', 'ThreatFox', 'Feodo Tracker', 'Example News', 'Blocklist.de'];
const words = ['low', 'medium', 'high'];

/** One row in so many is of a type that hardly occurs. */
const RARE = 500;

/** Two of five are addresses, then domains, file hashes and links: about what a mixed feed holds. */
export function observableOf(n: number): { type: string; value: string } {
  const digits = hash('sha256', `row ${n}`, 'hex');
  if (n % RARE === RARE - 1) return { type: 'email', value: `${digits.slice(0, 12)}@example.org` };
  switch (n % 20) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
      return { type: 'ipv4', value: `${(n >> 24) & 127 || 1}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}` };
    case 8:
    case 9:
    case 10:
    case 11:
    case 12:
      return { type: 'domain', value: `${digits.slice(0, 12)}.host-${n % 977}.example.com` };
    case 13:
    case 14:
    case 15:
      return { type: 'url', value: `http://${digits.slice(0, 8)}.example.net/${digits.slice(8, 20)}/load.php?id=${n}` };
    default:
      return { type: 'sha256', value: digits };
  }
}

/** Three of four rows are of the short shape with dates and tags, the fourth comes from an article. */
export function rowOf(n: number): JsonObject {
  const seen = NEWEST - n * SECOND;
  const row: JsonObject = {
    id: uuidOf(n),
    ...observableOf(n),
    confidence: words[n % 3] as string,
    first_seen: formatMillis(seen - 86_400 * SECOND),
    last_seen: formatMillis(seen),
    source: { feed_name: publishers[n % 5] as string, category: 'community', origin: 'feed' },
    tags: ['malware', `family-${n % 211}`],
  };
  if (n % 4 !== 0) return row;
  return {
    ...row,
    source: {
      article_id: uuidOf(n),
      article_title: `Campaign ${n % 1000}`,
      article_url: `https://news.example/articles/${n % 1000}`,
      feed_name: 'Example News',
      category: 'news',
      origin: 'article',
    },
    context: `Seen in campaign ${n % 1000}.`,
    mitre_techniques: ['T1566.001'],
  };
}

/** The same as a STIX 2.1 indicator. */
export function indicatorOf(n: number): JsonObject {
  const { type, value } = observableOf(n);
  const head = { ipv4: 'ipv4-addr:value', domain: 'domain-name:value', url: 'url:value', email: 'email-addr:value' }[
    type
  ];
  const seen = NEWEST - n * SECOND;
  return {
    type: 'indicator',
    spec_version: '2.1',
    id: `indicator--${uuidOf(n)}`,
    created: formatMillis(seen - 86_400 * SECOND),
    modified: formatMillis(seen),
    name: `${type} ${n}`,
    pattern: `[${head ?? "file:hashes.'SHA-256'"} = '${value}']`,
    pattern_type: 'stix',
    valid_from: formatMillis(seen - 86_400 * SECOND),
    indicator_types: ['malicious-activity'],
    confidence: 30 + (n % 3) * 30,
    labels: ['malware', `family-${n % 211}`],
  };
}

function uuidOf(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

const fields = { value: 'value', type: 'type', first_seen: 'first_seen', id: 'id', labels: 'tags' };

/** The same rows as a table, a list of their values and a JSON list, with the options of the format that reads each. */
export const documents = {
  csv: { file: 'table.csv', options: { fields, null_words: ['None'] } },
  text: { file: 'list.txt', options: {} },
  json: { file: 'list.json', options: { fields, null_words: ['None'] } },
};

/** Writes them into a directory. Their rows are of today: what is old would be taken in and expire at once. */
export function writeDocuments(path: string, rows: number): void {
  const [table, list, json] = [documents.csv, documents.text, documents.json].map(({ file }) =>
    openSync(join(path, file), 'w'),
  ) as [number, number, number];
  const first_seen = new Date().toISOString().slice(0, 19).replace('T', ' ');
  writeSync(table, '"id","first_seen","value","type","tags","reporter"\r\n');
  for (let from = 0; from < rows; from += 10_000) {
    const records = Array.from({ length: Math.min(10_000, rows - from) }, (_, i) => {
      const n = from + i;
      return { id: `${n}`, first_seen, ...observableOf(n), tags: `malware,family-${n % 211}`, reporter: 'None' };
    });
    const line = ({ id, first_seen, value, type, tags, reporter }: (typeof records)[number]): string =>
      `"${id}","${first_seen}","${value}","${type}","${tags}","${reporter}"\r\n`;
    writeSync(table, records.map(line).join(''));
    writeSync(list, records.map(({ value }) => `${value}\n`).join(''));
    writeSync(json, `${from === 0 ? '[' : ','}${records.map((record) => JSON.stringify(record)).join(',\n')}`);
  }
  writeSync(json, ']');
  for (const descriptor of [table, list, json]) closeSync(descriptor);
}

/** Answers of the upstream one behind the other in one file, so that no run pays for making them; answers where each ends. */
export function writeAnswers(file: string, rows: number): number[] {
  return writePieces(file, rows, (page) => JSON.stringify({ meta: { total: rows }, data: page.map(rowOf) }));
}

/** One bundle of `rows` indicators. */
export function writeBundle(file: string, rows: number): void {
  writePieces(file, rows, (page) => {
    const opening = page[0] === 0 ? `{"type":"bundle","id":"bundle--${uuidOf(0)}","objects":[` : ',';
    const closing = page.at(-1) === rows - 1 ? ']}' : '';
    return opening + page.map((n) => JSON.stringify(indicatorOf(n))).join(',') + closing;
  });
}

function writePieces(file: string, rows: number, textOf: (page: number[]) => string): number[] {
  const descriptor = openSync(file, 'w');
  const ends: number[] = [];
  let end = 0;
  for (let start = 0; start < rows; start += PAGE_ROWS) {
    const page = Array.from({ length: Math.min(PAGE_ROWS, rows - start) }, (_, i) => start + i);
    end += writeSync(descriptor, textOf(page));
    ends.push(end);
  }
  closeSync(descriptor);
  return ends;
}
