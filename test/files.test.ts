import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { testFiles } from './files.ts';

t.test('a file that starts other programs says that it is slow', async (t) => {
  for (const { path, slow } of testFiles()) {
    if (slow === null) t.notOk(startsPrograms(path), `${path}: begins with a line like "// slow (10 s): why"`);
  }
});

t.test('a mark names its seconds and its reason', async (t) => {
  for (const { path, slow } of testFiles()) {
    t.equal(/^\/\/ slow\b/m.test(readFileSync(path, 'utf8')), slow !== null, path);
  }
});

t.test('fast files run first, then slow ones, longest first', async (t) => {
  const seconds = testFiles().map(({ slow }) => slow?.seconds ?? Infinity);
  t.same(
    seconds,
    seconds.toSorted((a, b) => (a === b ? 0 : b - a)),
  );
});

t.test('only the tests of storage know what an engine is made of', async (t) => {
  const engines = /from '[./]*\/src\/store\/(?!contract\/)[^/']+\/[^']+'/;
  for (const path of globSync('test/**/*.ts').filter((path) => !path.startsWith(join('test', 'store', '/')))) {
    t.notMatch(readFileSync(path, 'utf8'), engines, `${path}: engines are reached by src/store/registry.ts`);
  }
});

/** By itself or by what it imports of the tests. Helpers don't count: their programs are short, or left out of test:fast. */
function startsPrograms(path: string): boolean {
  const imports = [...readFileSync(path, 'utf8').matchAll(/^(?:import|\}).* from '([^']+)'/gm)].map(([, name]) => name);
  if (imports.includes('node:child_process')) return true;
  return imports
    .filter((name) => name?.startsWith('.') === true)
    .map((name) => join(dirname(path), name ?? ''))
    .filter((file) => file.startsWith(join('test', '/')) && !file.startsWith(join('test', 'helpers', '/')))
    .some(startsPrograms);
}
