// slow (30 s): compiles a copy of the project for each toy
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/**
 * "Where things go" in ARCHITECTURE.md, tried: a toy of each kind is added to a copy of the project, by exactly the files and lines that
 * the table names. The copy must pass the compiler and the import rule, and a gateway of it must use the toys.
 */

const project = fileURLToPath(new URL('..', import.meta.url));
const architecture = readFileSync(join(project, 'ARCHITECTURE.md'), 'utf8');

/** Files that a row of the table names, in backquotes, as they are called for NAME = toy. */
function filesFor(kind: string): string[] {
  const row = architecture.split('\n').find((line) => line.startsWith(`| ${kind}`)) ?? '';
  const named = [...row.matchAll(/`((?:src|routes)\/[^`]+)`/g)].map(([, path = '']) => path.replace('NAME', 'toy'));
  return named.filter((path) => path.includes('toy') || /(registry|index)\.ts$/.test(path)).sort();
}

/** A line in a file that is there: `text` is put behind the first occurrence of `behind`. */
interface Line {
  file: string;
  behind: string;
  text: string;
}

interface Toy {
  kind: string;
  files: Record<string, string>;
  lines: Line[];
}

const toys: Toy[] = [
  {
    kind: 'a feed format',
    files: {
      'src/feeds/toy.ts': `
import Type from 'typebox';
import type { FeedFormat } from './feed.ts';
import { readLines } from './reading/lines.ts';
import { checkSource, readSource, type SourceOptions, sourceAccount, sourceOptions } from './source.ts';

/** Domains, one in a line. */
export const toy: FeedFormat<SourceOptions> = {
  name: 'toy',
  title: 'domains, one in a line',
  options: Type.Object(sourceOptions, { additionalProperties: false }),
  defaults(options) {
    checkSource(options);
    return { mode: 'snapshot', every: 60_000, emptyAllowed: true, lifetime: {} };
  },
  account: sourceAccount,
  read: (feed) =>
    readSource(feed, 'text/plain', async function* ({ body }) {
      for await (const lines of readLines(body)) {
        yield lines.map(({ text, bytes }) => ({ item: { type: 'domain', value: text }, bytes }));
      }
    }),
};
`,
    },
    lines: [
      { file: 'src/feeds/registry.ts', behind: "} from './feed.ts';\n", text: "import { toy } from './toy.ts';\n" },
      { file: 'src/feeds/registry.ts', behind: 'feedFormats = {', text: ' toy,' },
    ],
  },
  {
    kind: 'an output format',
    files: {
      'src/outputs/toy.ts': `
import Type from 'typebox';
import { indicatorsOf } from './ioc.ts';
import type { Output } from './output.ts';

/** The values, each behind a word. */
export const toy: Output = {
  name: 'toy',
  title: 'values',
  mediaType: 'text/x-toy',
  aliases: [],
  extension: 'toy',
  options: Type.Object({}, { additionalProperties: false }),
  expressesObjects: false,
  isAppendable: true,
  async *write({ slices }) {
    for await (const slice of slices) for (const { value } of indicatorsOf(slice)) yield \`toy \${value}\\n\`;
  },
};
`,
    },
    lines: [
      { file: 'src/outputs/registry.ts', behind: "} from './output.ts';\n", text: "import { toy } from './toy.ts';\n" },
      { file: 'src/outputs/registry.ts', behind: 'outputs = {\n', text: '  toy,\n' },
    ],
  },
  {
    kind: 'a suppressor',
    files: {
      'src/suppress/toy.ts': `
import type { SuppressorKind, Verdict } from './suppressor.ts';

const verdict: Verdict = { mode: 'drop', rule: 'toy', entry: 'a name', reason: 'A toy.', admit: 'No way.', labels: [] };

/** Keeps one name out of every journal. */
export const toy: SuppressorKind = {
  open: () => ({ match: ({ value }) => (value === 'suppressed.example' ? verdict : null) }),
};
`,
    },
    lines: [
      { file: 'src/suppress/registry.ts', behind: "} from './own.ts';\n", text: "import { toy } from './toy.ts';\n" },
      { file: 'src/suppress/registry.ts', behind: 'SuppressorKind>> = {', text: ' toy,' },
    ],
  },
  {
    kind: 'a page',
    files: { 'routes/assets/toy/index.html': '<!doctype html><title>A toy</title>' },
    lines: [
      {
        file: 'routes/index.ts',
        behind: "const home = readAssets('home', '/assets');\n",
        text: "const toy = readAssets('toy', '/toy/assets');\n",
      },
      {
        file: 'routes/index.ts',
        behind: "'GET /assets/:hash/:file': home.files,\n",
        text: "'GET /toy': () => toy.page('index.html'),\n'GET /toy/assets/:hash/:file': toy.files,\n",
      },
    ],
  },
];

/** What a user would see of the toys, asked of a gateway that is made from the copy. */
const use = `
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openGateway } from './helpers/gateway.ts';

const dir = process.argv[2];
writeFileSync(join(dir, 'list.txt'), 'first.example\\nsuppressed.example\\n');
const closing = [];
const t = { teardown: (close) => closing.push(close), ok: () => true, error: (error) => { if (error) throw error; } };
const gateway = await openGateway(t, dir, \`
feeds: { list: { format: toy, path: ./list.txt, tlp: green } }
pools: { main: { feeds: [list] } }
collections: { all: { pool: main } }
sinks: { out: { type: file, path: ./out.toy, format: toy, collections: [all] } }
\`);
const report = await gateway.side.poll('list');
const ask = async (url) => (await gateway.app.inject({ url, headers: { authorization: 'Bearer ' + gateway.key } })).body;
const list = await ask('/api/v1/iocs?format=toy');
const page = await ask('/toy');
console.log(JSON.stringify({ accepted: report.accepted, list, page }));
for (const close of closing.reverse()) await close();
`;

t.test('each kind of extension takes the files and lines that ARCHITECTURE.md names, and no others', async (t) => {
  const copy = t.testdir();
  for (const name of ['src', 'routes', 'test/helpers', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs'])
    cpSync(join(project, name), join(copy, name), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));

  for (const { kind, files, lines } of toys) {
    const touched = [...Object.keys(files), ...lines.map(({ file }) => file)];
    const named = filesFor(kind);
    // A folder in the table stands for the files in it.
    const isNamed = (file: string) =>
      named.some((name) => file === name || (name.endsWith('/') && file.startsWith(name)));
    t.ok(named.length >= 2 && touched.every(isNamed), `${kind}: ${named.join(', ')}`);
    for (const name of named)
      t.ok(
        touched.some((file) => file.startsWith(name)),
        `${kind} needs ${name}`,
      );
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(copy, file)), { recursive: true });
      writeFileSync(join(copy, file), text.trimStart());
    }
    for (const { file, behind, text } of lines) {
      const before = readFileSync(join(copy, file), 'utf8');
      t.ok(before.includes(behind), `${file} has ${behind.trim()}`);
      writeFileSync(
        join(copy, file),
        before.replace(behind, () => behind + text),
      );
    }
  }

  writeFileSync(join(copy, 'test', 'use.ts'), use);
  writeFileSync(
    join(copy, 'tsconfig.json'),
    readFileSync(join(copy, 'tsconfig.json'), 'utf8').replace(/"include": \[[^\]]*\]/, '"include": ["src", "routes"]'),
  );
  const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd: copy, encoding: 'utf8' });
  const compiler = run('node_modules/typescript/bin/tsc', '-p', '.');
  t.equal(compiler.status, 0, compiler.stdout);
  const imports = run('node_modules/dependency-cruiser/bin/dependency-cruiser.mjs', 'src', 'routes');
  t.equal(imports.status, 0, imports.stdout + imports.stderr);

  const dir = join(copy, 'run');
  mkdirSync(dir);
  const used = run(join('test', 'use.ts'), dir);
  t.equal(used.status, 0, used.stderr);
  const seen = JSON.parse(used.stdout.trim().split('\n').at(-1) ?? '{}');
  t.match(seen, { accepted: 2, list: 'toy first.example\n', page: /<title>A toy/ });
});
