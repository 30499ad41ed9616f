import { readdirSync, readFileSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { parse } from 'yaml';
import { MAX_RECORD, MAX_RECORD_LINES } from '../../src/feeds/csv/records.ts';
import { csv } from '../../src/feeds/csv.ts';
import { MAX_LINE } from '../../src/feeds/reading/lines.ts';
import { defaultReach, type FeedDefinition } from '../../src/model/definition.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';
import { normalise } from '../../src/normalise/normalise.ts';
import { type Pull, pull } from '../helpers/feed.ts';

const fixtures = fileURLToPath(new URL('../fixtures/feeds/csv/', import.meta.url));

/** Reads `table` as the one file of a feed, in chunks of `size` bytes. */
function pulled(table: Buffer | string, options: object, size = 64 * 1024): Promise<Pull> {
  const bytes = Buffer.from(table);
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
    bytes.subarray(n * size, (n + 1) * size),
  );
  return pulledChunks(chunks, options);
}

function pulledChunks(chunks: readonly Buffer[], options: object): Promise<Pull> {
  const body = (async function* () {
    yield* chunks;
  })();
  return pull(csv, {
    options: { path: 'table.csv', ...options },
    cursor: null,
    now: () => 0,
    fetch: async () => null,
    files: async () => [{ name: 'table.csv', size: 1, fault: null, body }],
    contributed: async () => null,
    signal: new AbortController().signal,
  });
}

/** The values that rows hold, or what the pull failed with. */
async function values(table: Buffer | string, options: object, size?: number): Promise<unknown> {
  const { items, rejected, error } = await pulled(table, options, size);
  if (error !== null) throw error;
  return [items.map((item) => ('value' in item ? item.value : item)), rejected.map(({ detail }) => detail)];
}

const byUrl = { fields: { value: 'url' } };

const feed: FeedDefinition = {
  name: 'table',
  format: 'csv',
  mode: 'snapshot',
  title: 'Table',
  aliases: [],
  every: 60_000,
  confidence: 50,
  tlp: 'clear',
  lifetime: {},
  outageLimit: 0,
  shrinkGuard: null,
  emptyAllowed: true,
  reach: defaultReach,
};
const now = parseTimestamp('2026-11-28T00:00:00Z') as number;

/** What is served of a pull: of each observation all that is said, of each refused row the reason. */
function normalised({ items, rejected }: Pull): unknown[] {
  const times = new Set(['firstSeen', 'lastSeen', 'validFrom', 'validUntil']);
  const found = items.flatMap((item): unknown[] => {
    const result = normalise(item, feed, now);
    if (result.kind === 'rejection') return [{ refused: result.rejection.reason, detail: result.rejection.detail }];
    if (result.kind !== 'observations') return [result];
    const notes = (result.notes ?? []).map(({ detail }) => ({ note: detail }));
    const said = result.observations.map(({ key: _, observable, reportedAt: __, ...rest }) => ({
      ...observable,
      ...Object.fromEntries(
        Object.entries(rest)
          .filter(([, value]) => value !== null && value !== false && !(Array.isArray(value) && value.length === 0))
          .map(([name, value]) => [name, times.has(name) ? formatMillis(value as number) : value]),
      ),
    }));
    return [...said, ...notes];
  });
  return [...found, ...rejected.map(({ reason, detail }) => ({ refused: reason, detail }))];
}

t.test('tables as feeds write them', async (t) => {
  const files = readdirSync(fixtures);
  const tables = files.filter((file) => /\.(?:csv|txt)$/.test(file));
  t.ok(tables.length >= 10);
  for (const file of tables) {
    const name = basename(file, extname(file));
    const options = parse(readFileSync(`${fixtures}${name}.yaml`, 'utf8'));
    const table = readFileSync(`${fixtures}${file}`);
    const { expected } = JSON.parse(readFileSync(`${fixtures}${name}.json`, 'utf8'));
    for (const size of [1, 7, 64 * 1024]) {
      const found = await pulled(table, options, size);
      t.equal(found.error, null, name);
      t.strictSame(JSON.parse(JSON.stringify(normalised(found))), expected, `${name} in chunks of ${size}`);
    }
  }
});

t.test('delimiter, quote and comment are what the options say', async (t) => {
  const two = [['http://a.example/', 'http://b.example/'], []];
  const cases: [string, object][] = [
    ['id;url\n1;http://a.example/\n2;"http://b.example/"\n', { delimiter: 'semicolon' }],
    ['id\turl\n\thttp://a.example/\n2\t"http://b.example/"\n', { delimiter: 'tab' }],
    ['id | url\n1 | http://a.example/\n2 | "http://b.example/"\n', { delimiter: 'pipe' }],
    ['id~url\n1~http://a.example/\n2~http://b.example/\n', { delimiter: '~' }],
    ["id,url\n1,'http://a.example/'\n'it''s','http://b.example/'\n", { quote: "'" }],
    ['id,url\n"1,http://a.example/\n2",http://b.example/\n', { quote: 'none' }],
    ['// x\nid,url\n1,http://a.example/\n // "\n2,http://b.example/\n', { comment: '//' }],
    ['id,url\n#1,http://a.example/\n#2,http://b.example/\n', { comment: '' }],
    ['  ##url,id\nhttp://a.example/,1\n# id,url\nhttp://b.example/,2\n', { columns: 'comment' }],
    ['# other\r\n#"id", "url"\r\n1, "http://a.example/"\r\n2 ,"http://b.example/" \r\n', { columns: 'comment' }],
    ["id,url\n1,'http://a.example/'\n2,http://b.example/\n", { quote: "'" }],
    ['x\ry,http://a.example/\nz,http://b.example/\n', { columns: ['id', ' url'] }],
    ['1,http://a.example/\n2,http://b.example/,more\n', { columns: 'none', fields: { value: 2 } }],
    ['id,url\n1,http://a.example/\n2,http://b.example/\n', { fields: { value: 2 } }],
    ['id,url,url\n1,http://a.example/,x\n2,http://b.example/,y\n', {}],
    ['id,__proto__\n1,http://a.example/\n2,http://b.example/\n', { fields: { value: '__proto__' } }],
    ['\n\r\nid,url\n\n1,http://a.example/\n   \n2,http://b.example/', {}],
  ];
  for (const [table, options] of cases) {
    for (const size of [1, 5, 1000]) t.strictSame(await values(table, { ...byUrl, ...options }, size), two, table);
  }
});

t.test('a table in UTF-16 or with a byte order mark is read, a cell may hold anything', async (t) => {
  const table = 'id,url,note\n1,http://ä.example/,"=cmd|\' /C calc\'!A0"\n';
  const le = Buffer.from(`\ufeff${table}`, 'utf16le');
  const be = Buffer.from(le).swap16();
  const options = { fields: { value: 'url', description: 'note' } };
  for (const bytes of [Buffer.from(table), Buffer.from(`\ufeff${table}`), le, be]) {
    for (const size of [1, 3, 1000]) {
      const { items, rejected, error } = await pulled(bytes, options, size);
      t.equal(error, null);
      t.strictSame(items, [{ value: 'http://ä.example/', description: "=cmd|' /C calc'!A0" }]);
      t.strictSame(rejected, []);
    }
  }
  t.strictSame(
    await values('url\nhttp://a.example/\0\n', byUrl),
    [['http://a.example/\0'], []],
    'NUL is the row’s own',
  );
  t.strictSame(await values('', byUrl), [[], []]);
  t.strictSame(await values('\ufeff', byUrl), [[], []]);
});

t.test('a page for people in place of a table is refused', async (t) => {
  const pages = ['<!DOCTYPE html>\n<html>', '\ufeff\n <html lang="en">', '<?xml version="1.0"?><Error/>', '<!-- x -->'];
  for (const page of pages) {
    for (const size of [1, 1000]) {
      await t.rejects(values(page, { columns: 'none', fields: { value: 1 } }, size), {
        code: 'upstream-malformed',
        message: /is a web page/,
      });
    }
  }
  const long = `<html>${'x'.repeat(5000)}`;
  await t.rejects(values(long, byUrl, 100), { code: 'upstream-malformed', message: /is a web page/ });
  t.strictSame(await values('url\n<htm>\n', byUrl), [['<htm>'], []]);
});

t.test('a quote that is not closed costs its row and no other', async (t) => {
  const good = Array.from({ length: 3 * MAX_RECORD_LINES }, (_, n) => `${n},"http://host-${n}.example/"`);
  const urls = good.map((_, n) => `http://host-${n}.example/`);
  for (const at of [0, 1, 150, good.length]) {
    const table = ['id,url', ...good.slice(0, at), 'x,"http://broken.example/', ...good.slice(at)].join('\n');
    for (const size of [100, 100_000]) {
      t.strictSame(await values(table, byUrl, size), [urls, ['a quote is not closed']], `row ${at}`);
    }
  }
});

t.test('two quotes that are not closed cost their rows and none between them', async (t) => {
  const table =
    'id,url,tag\n1,"http://a.example/,x\n2,http://b.example/,y\n3,http://c.example/,"z\n4,"http://d.example/",""\n';
  t.strictSame(await values(table, byUrl), [
    ['http://b.example/', 'http://d.example/'],
    ['a quote is not closed', 'a quote is not closed'],
  ]);
  const named = 'id,url,tag\n1,"http://a.example/,x\n2,"http://b.example/,y\n3,http://c.example/,z\n';
  t.strictSame(await values(named, byUrl), [['http://c.example/'], ['a quote is not closed', 'a quote is not closed']]);
});

t.test('a quote inside of a field is a character of it', async (t) => {
  const table = 'name,url\n3.5" disk,http://a.example/\n"The "Group",http://b.example/\n,http://c.example/\n';
  const { items, rejected } = await pulled(table, { fields: { value: 'url', name: 'name' } });
  t.strictSame(items, [
    { value: 'http://a.example/', name: '3.5" disk' },
    { value: 'http://b.example/', name: '"The "Group"' },
    { value: 'http://c.example/' },
  ]);
  t.strictSame(rejected, []);
});

t.test('lines between two stray quotes are no record, as their fields are too few', async (t) => {
  const table = 'id,url,tag\n1,"http://a.example/,x\n2,http://b.example/,y\n3,http://c.example/,z"\n';
  t.strictSame(await values(table, byUrl), [['http://b.example/', 'http://c.example/'], ['a quote is not closed']]);
  const doubled = "id,url\n1,'http://a.example/?it''s'\n";
  t.strictSame(await values(doubled, { ...byUrl, quote: "'" }), [["http://a.example/?it's"], []]);
});

t.test('quotes inside of quoted fields cost at most their own rows', async (t) => {
  const table = `column1,url,column3
"1 1","http://a.example/","1 3"
"2 1","http://b.example/?"q" 2","2 3"
"3 1","http://c.example/?"3", "2",","3 3"
"4 1","http://d.example/","4 3"
"5 1","http://e.example/","5 3"
`;
  t.strictSame(await values(table, byUrl), [
    ['http://a.example/', '"http://b.example/?"q" 2"', 'http://d.example/', 'http://e.example/'],
    ['4 fields in a table of 3 columns'],
  ]);
});

t.test('line breaks of two kinds in one table', async (t) => {
  const table =
    '# LF\n# CRLF\r\n# "id","url"\n"1","http://a.example/"\r\n"2","http://b.example/"\n"3","http://c.example/"\r\n';
  for (const size of [1, 1000]) {
    t.strictSame(await values(table, { ...byUrl, columns: 'comment' }, size), [
      ['http://a.example/', 'http://b.example/', 'http://c.example/'],
      [],
    ]);
  }
});

t.test('a comment sign inside of a row is a character of it', async (t) => {
  const table = 'url,note\nhttp://a.example/#top,#1\n"http://b.example/"#,x\n "#c",x\n';
  t.strictSame(await values(table, byUrl), [['http://a.example/#top', '"http://b.example/"#', '#c'], []]);
});

t.test(
  'names that move from a comment into the first line, or back, are missed with what stands in their place',
  async (t) => {
    const commented = '# abuse.ch\n# id,url\n1,http://a.example/\n';
    const plain = '# abuse.ch\n#\nid,url\n1,http://a.example/\n';
    const missing = (names: RegExp) => ({ code: 'upstream-malformed', message: names });
    await t.rejects(values(commented, byUrl), missing(/no column url; its columns are 1, http:\/\/a\.example\/\.$/));
    await t.rejects(
      values(plain, { ...byUrl, columns: 'comment' }),
      missing(/no column url; its columns are ""\.$|is missing/),
    );
  },
);

t.test('a record may have several lines, up to a bound', async (t) => {
  const options = { fields: { value: 'url', description: 'note' } };
  const note = (lines: number): string => Array.from({ length: lines }, (_, n) => `# line "" ${n}`).join('\n');
  const most = `url,note\nhttp://a.example/,"${note(MAX_RECORD_LINES)}"\nhttp://b.example/,"x"\n`;
  for (const size of [10, 100_000]) {
    const { items, rejected } = await pulled(most, options, size);
    t.strictSame(rejected, []);
    t.strictSame(items, [
      { value: 'http://a.example/', description: note(MAX_RECORD_LINES).replaceAll('""', '"') },
      { value: 'http://b.example/', description: 'x' },
    ]);
  }
  const { items, rejected } = await pulled(
    most.replace('x"\n', `${note(MAX_RECORD_LINES + 1)}"\nhttp://c.example/,y\n`),
    options,
  );
  t.strictSame(items.length, 2);
  t.ok(rejected.length > 0 && rejected.every(({ reason }) => reason === 'unreadable-row'));
  t.strictSame(items.at(-1), { value: 'http://c.example/', description: 'y' });
});

t.test('a record that is too long is refused, and the next is read', async (t) => {
  const padding = 'x'.repeat(MAX_RECORD);
  const table = `url,note\nhttp://a.example/,${padding}\nhttp://b.example/,"${padding}"\nhttp://c.example/,y\n`;
  const { items, rejected } = await pulled(table, byUrl);
  t.strictSame(items, [{ value: 'http://c.example/' }]);
  t.strictSame(
    rejected.map(({ reason, row }) => [reason, row.slice(0, 19)]),
    [
      ['too-long', 'http://a.example/,x'],
      ['too-long', 'http://b.example/,"'],
    ],
  );
  const lines = `url,note\nhttp://a.example/,"\n${`${'x'.repeat(9000)}\n`.repeat(60)}"\nhttp://c.example/,y\n`;
  const cut = await pulled(lines, { fields: { value: 'url', description: 'note' } });
  t.strictSame(cut.items, [{ value: 'http://c.example/', description: 'y' }], 'many lines that are too long together');
  t.equal(cut.rejected.length, 62);
  t.match(cut.rejected[0], { reason: 'unreadable-row', row: 'http://a.example/,"' });
});

t.test('a record of the most characters is read, and a line that no line may be is refused alone', async (t) => {
  const row = 'http://a.example/,';
  const most = `url,note\n${row}${'x'.repeat(MAX_RECORD - row.length)}\n`;
  t.strictSame(await values(most, byUrl), [['http://a.example/'], []]);
  const table = `url,note\nhttp://a.example/,"\n${'x'.repeat(MAX_LINE + 1)}"\nhttp://b.example/,y\n`;
  t.strictSame(await values(table, byUrl), [
    ['http://b.example/'],
    ['a quote is not closed', `a record of more than ${MAX_RECORD} characters`],
  ]);
});

t.test('a pause of the upstream gives what has come, and nothing else ends a batch', async (t) => {
  const row = (n: number): string => `${n},http://host-${n}.example/\n`;
  const rows = (from: number, to: number): string =>
    Array.from({ length: to - from }, (_, n) => row(from + n)).join('');
  // So long that what is told by the first bytes of a document is known.
  const chunks = [`id,url\n${'#\n'.repeat(300)}`, '', rows(0, 100), '', rows(100, 200)];
  const { batches, error } = await pulledChunks(
    chunks.map((text) => Buffer.from(text)),
    byUrl,
  );
  t.equal(error, null);
  t.strictSame(
    batches.map(({ items }) => items.length),
    [0, 100, 100],
  );
  const long = Buffer.from(`\ufeffid,url\n${rows(0, 300)}`, 'utf16le');
  for (const size of [1, 7]) {
    const { batches } = await pulled(long, byUrl, size);
    t.strictSame(
      batches.map(({ items, rejected }) => [items.length, rejected.length]),
      [[300, 0]],
    );
  }
  const { items } = await pulled(`\ufeffurl,id\n${rows(0, 300)}`, { fields: { value: 'id' } }, 5);
  t.equal(items.length, 300);
  t.strictSame(items.at(-1), { value: 'http://host-299.example/' });
});

t.test('others have their turn while a large chunk is read, however broken its rows', async (t) => {
  for (const row of ['1,http://a.example/\n', '","\n"a\n']) {
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const table = `id,url\n${row.repeat(Math.ceil((4 * 1024 * 1024) / (row.length + 450)))}`;
    const { error } = await pulled(table.padEnd(4 * 1024 * 1024, '1,http://a.example/\n'), byUrl, table.length * 1000);
    isDone = true;
    t.equal(error, null);
    t.ok(turns >= 4, `${turns} turns`);
  }
});

t.test('a row that lacks a column that is read, or has more than the header names, is refused', async (t) => {
  const table = `id,url,tags,more
1,http://a.example/,x
2,http://b.example/
3,http://c.example/,x,y,
4,http://d.example/,x,y,z
5,http://e.example/,x,y
`;
  t.strictSame(await values(table, { fields: { value: 'url', labels: 'tags' } }), [
    ['http://a.example/', 'http://c.example/', 'http://e.example/'],
    ['2 of the 3 fields that it needs', '5 fields in a table of 4 columns'],
  ]);
  t.strictSame(
    await values('http://a.example/,x\nhttp://b.example/\n', { columns: 'none', fields: { value: 1, labels: 2 } }),
    [['http://a.example/', 'http://b.example/'], []],
    'without a header nobody says how many there are',
  );
});

t.test('a last row that is cut inside of what is read is refused', async (t) => {
  const table = 'id,url,tags\n1,http://a.example/,x\n2,http://b.exa';
  t.strictSame(await values(table, byUrl), [['http://a.example/'], ['the table stops in this row']]);
  t.strictSame(await values(`${table}\n`, byUrl), [['http://a.example/', 'http://b.exa'], []]);
  t.strictSame(await values(`${table},`, byUrl), [['http://a.example/', 'http://b.exa'], []]);
  t.strictSame(await values('id,url\n1,http://a.example/', byUrl), [['http://a.example/'], []]);
  t.strictSame(await values('id,url,tags,more\n1,http://a.example/,x', byUrl), [['http://a.example/'], []]);
});

t.test('a table without the columns is malformed, and the message names those that it has', async (t) => {
  const malformed = (message: RegExp) => ({ code: 'upstream-malformed', message });
  await t.rejects(
    values('id,link\n1,x\n', byUrl),
    malformed(/table\.csv is no whole CSV: it has no column url; its columns are id, link\./),
  );
  const either = { fields: { value: ['url', 'uri'] } };
  await t.rejects(values('id,link\n1,x\n', either), malformed(/no column url or uri;/));
  t.strictSame(await values('id,uri\n1,x\n', either), [['x'], []], 'one of several is enough');
  await t.rejects(values('id,url\n1,x\n', { fields: { value: 3 } }), malformed(/no column 3; its columns are id, url/));
  await t.rejects(values('{"error":"no such list"}', byUrl), malformed(/no column url/));
  await t.rejects(values(`${'a,'.repeat(1000)}b\n`, byUrl), malformed(/its columns are (?:a, ){1,120}a?,? ?…\.$/));
  await t.rejects(values('"id,url\n1,x\n', byUrl), malformed(/the line with the names of its columns is missing/));
  await t.rejects(
    values('1,x\n# id,url\n', { ...byUrl, columns: 'comment' }),
    malformed(/the names of its columns is missing/),
  );
  t.strictSame(
    await values('# Number of entries: 0\n', { ...byUrl, columns: 'comment' }),
    [[], []],
    'no row, no question',
  );
});

t.test('options that fit no table are refused', async (t) => {
  const refused: [object, RegExp][] = [
    [{}, /no column for value/],
    [{ fields: { labels: 'x' } }, /no column for value/],
    [{ ...byUrl, columns: 'none' }, /columns: none counts columns from 1, and url is a name/],
    [{ ...byUrl, columns: ['id', 'link'] }, /columns: it has no column url/],
    [{ ...byUrl, columns: 'comment', comment: '' }, /needs a comment/],
    [{ ...byUrl, delimiter: '"' }, /delimiter and quote are the same/],
  ];
  for (const [options, message] of refused) {
    t.throws(() => csv.defaults({ path: 'x', ...options }), { code: 'config-invalid', message });
  }
  t.match(csv.defaults({ path: 'x', ...byUrl }), { mode: 'snapshot', every: 60_000, emptyAllowed: true });
  t.match(csv.defaults({ url: 'https://feeds.example/', ...byUrl }), { every: 3_600_000, emptyAllowed: false });
});

t.test('whatever a table holds, every record is an item or a rejection, and what follows is read', async (t) => {
  const piece = fc.constantFrom(
    '"',
    '""',
    ',',
    '\n',
    '\r\n',
    '\r',
    ' ',
    '#',
    'a',
    'ä',
    '\0',
    '__proto__',
    '=1+1',
    '\t',
  );
  const hostile = fc.array(piece, { maxLength: 40 }).map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(hostile, fc.integer({ min: 1, max: 50 }), async (text, size) => {
      // The lines behind it are sound, and more than a record may have.
      const sound = Array.from({ length: MAX_RECORD_LINES + 1 }, (_, n) => `sound-${n},x`);
      const table = `value,note\n${text}\n${sound.join('\n')}\n`;
      const { items, rejected, error } = await pulled(table, { fields: { value: 'value' } }, size);
      if (error !== null) throw error;
      const found = items.map((item) => ('value' in item ? item.value : null));
      t.strictSame(
        found.slice(-sound.length),
        sound.map((line) => line.slice(0, -2)),
      );
      const most = text.split('\n').filter((line) => line.trim() !== '' && !line.trimStart().startsWith('#')).length;
      if (found.length - sound.length + rejected.length > most) throw new Error('more rows than lines');
    }),
    { numRuns: 300 },
  );
});
