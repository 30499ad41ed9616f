import { spawnSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { ObservableType } from '../src/model/observable.ts';
import { builtIn } from '../src/suppress/warning-lists/built-in.ts';
import { defaultModes } from '../src/suppress/warning-lists/modes.ts';

// node warning-lists/update.ts: takes the lists that modes.ts names anew from the Python package that carries MISP's.

const PACKAGE = 'pymispwarninglists==1.7.0';

/** MISP's attribute types, as ours. Lists for no type of ours stay out. */
const types: Readonly<Record<string, readonly ObservableType[]>> = {
  'ip-src': ['ipv4', 'ipv6'],
  'ip-dst': ['ipv4', 'ipv6'],
  domain: ['domain'],
  hostname: ['domain'],
  url: ['url'],
  uri: ['url'],
  md5: ['md5'],
  sha1: ['sha1'],
  sha256: ['sha256'],
  sha512: ['sha512'],
  'email-src': ['email'],
  'email-dst': ['email'],
};

/** RFC 2606: names for examples. They are among the most used, and nobody is harmed where they are blocked. */
const EXAMPLES = new Set(['example.com', 'example.net', 'example.org']);

interface MispList {
  name: string;
  type: string;
  version: number;
  list: string[];
  matching_attributes: string[];
}

const data = new URL('../src/suppress/warning-lists/data/', import.meta.url);
const home = mkdtempSync(join(tmpdir(), 'warning-lists-'));
const pip = spawnSync('python3', ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', home, PACKAGE], {
  stdio: 'inherit',
});
if (pip.status !== 0) throw new Error(`pip could not install ${PACKAGE}`);
for (const file of readdirSync(data)) if (!file.endsWith('.md')) rmSync(new URL(file, data));

const index: Record<string, unknown> = {};
const ours = new Set(builtIn.map(({ name }) => name));
for (const name of Object.keys(defaultModes).filter((each) => !ours.has(each))) {
  const path = join(home, 'pymispwarninglists/data/misp-warninglists/lists', name, 'list.json');
  const list = JSON.parse(readFileSync(path, 'utf8')) as MispList;
  const taken = [...new Set(list.matching_attributes.flatMap((attribute) => types[attribute] ?? []))];
  const entries = [...new Set(list.list.map((entry) => canonical(entry, list.type)))]
    .filter((entry) => !EXAMPLES.has(entry))
    .sort();
  if (entries.length === 0 || taken.length === 0) throw new Error(`${name} is empty, or for none of our types`);
  const text = entries.join('\n');
  writeFileSync(new URL(`${name}.gz`, data), gzipSync(text, { level: 9 }));
  const { name: title, type, version } = list;
  index[name] = {
    title,
    type,
    types: taken,
    version,
    entries: entries.length,
    hash: hash('sha256', text).slice(0, 16),
  };
}
writeFileSync(new URL('index.json', data), `${JSON.stringify({ package: PACKAGE, lists: index }, null, 1)}\n`);
rmSync(home, { recursive: true });

/** `/expression/i` becomes the expression that RE2 reads; all else is compared in lower case. */
function canonical(entry: string, type: string): string {
  const [, expression, flags = ''] = /^\/(.*)\/([a-z]*)$/.exec(entry) ?? [];
  if (type !== 'regex') return entry.trim().toLowerCase();
  if (expression === undefined) return entry;
  return flags === '' ? expression : `(?${flags})${expression}`;
}
