import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { makeListsPage } from '../../docs/lists.ts';
import { problemsOf } from '../../src/config/problem.ts';
import type { GatewayError } from '../../src/model/error.ts';
import { loadYaml } from '../helpers/config.ts';

const base = t.testdir({});
const common = `
feeds: { drop: { format: stix, path: . } }
pools: { main: { feeds: [drop] } }
collections: { all: { pool: main }, ips: { pool: main, types: [ipv4, ipv6] } }
`;
const load = (lists: string) => loadYaml(base, `${common}lists: ${lists}\n`);

/** Where and what, of all that is wrong. */
function complaints(lists: string): string[] {
  try {
    load(lists);
    return [];
  } catch (error) {
    return problemsOf(error as GatewayError).map(({ line, path, message }) => `${line} ${path} ${message}`);
  }
}

t.test('a list has the keys of all lists, those of its format, and defaults', async (t) => {
  const { config, effective } = load(
    '{ edge: { collection: ips, format: panos-ip, types: [ipv4], max_entries: 50000, min_prefix: 24, aggregate: true, prefixes: range, allow_from: [192.0.2.7, 2001:DB8::/32] }, plain: { collection: all, format: domains } }',
  );
  t.strictSame(config.lists[0], {
    name: 'edge',
    list: {
      collection: 'ips',
      format: 'panos-ip',
      options: { prefixes: 'range' },
      types: ['ipv4'],
      minConfidence: null,
      minPrefix: { ipv4: 24, ipv6: 0 },
      aggregate: true,
      order: 'strongest',
      maxEntries: 50_000,
      pageSize: null,
      emptyLine: null,
    },
    allowFrom: ['192.0.2.7', '2001:db8::/32'],
    onRefused: 'unauthenticated',
  });
  t.match(config.lists[1], { list: { options: { comments: true }, types: null, maxEntries: null }, allowFrom: [] });
  t.strictSame(loadYaml(join(base), effective).config.lists, config.lists, 'as it is printed it can be loaded again');
});

t.test('what is wrong with a list is told with its line', async (t) => {
  const lists = `
  one: { collection: al, format: panos-ip }
  two: { collection: all, format: panos }
  three: { collection: all, format: panos-ip, comments: true, max_entries: 0 }
  four: { collection: all, format: panos-domain, types: [domain, ipv4] }
  five: { collection: all, format: csv, aggregate: true, empty_line: none }
  six: { collection: all, format: txt, allow_from: [example.com, 10.0.0.0/8], on_refused: 500 }
  seven: { format: txt }
  eight: txt`;
  const [first, ...rest] = complaints(lists);
  t.match(first, /^6 lists\.one\.collection names no collection.*all/);
  t.match(rest.slice(0, 3), [
    /^7 lists\.two\.format must be /,
    /^8 lists\.three\.comments is an unknown key/,
    /^8 lists\.three\.max_entries /,
  ]);
  t.match(rest.slice(3), [
    /^9 lists\.four\.types has ipv4, which panos-domain cannot hold/,
    /^10 lists\.five\.aggregate is for formats with a line per value/,
    /^10 lists\.five\.empty_line is for formats/,
    /^11 lists\.six\.on_refused must be /,
    /^12 lists\.seven.* collection is missing/,
    /^13 lists\.eight must be a mapping/,
  ]);
  t.match(complaints('{ six: { collection: all, format: txt, allow_from: [example.com, 10.0.0.0/8] } }'), [
    /^5 lists\.six\.allow_from\[0\] must be an address or a network/,
  ]);
  t.match(complaints('{ seven: { collection: all, format: mikrotik, page_size: 100 } }'), [
    /^5 lists\.seven\.page_size is not for mikrotik: each page would replace the one before/,
  ]);
  t.match(complaints('{ a.b: { collection: all, format: txt } }'), [/lists.* must be a name/]);
});

t.test('docs/lists.md is what the formats say', async (t) => {
  const text = readFileSync(new URL('../../docs/lists.md', import.meta.url), 'utf8');
  t.ok(text === makeListsPage(), 'docs/lists.md is stale: node docs/generate.ts');
});
