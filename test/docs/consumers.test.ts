import { existsSync, globSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parse, stringify } from 'yaml';
import type { LoadedConfig } from '../../src/config/load.ts';
import { loadYaml } from '../helpers/config.ts';

/** What docs/consumers*.md print for sluice.yaml, beside what sluice.example.yaml has. */

const pages = globSync('docs/consumers*.md').sort();
const example = parse(readFileSync('sluice.example.yaml', 'utf8')) as Record<string, object>;

/** The blocks of a page that are marked as YAML. */
function blocksOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
}

/** Loads the example with the entries of a block among its own. */
function loadWith(block: string): LoadedConfig {
  const added = parse(block) as Record<string, object>;
  const merged = Object.entries(added).map(([section, entries]) => [section, { ...example[section], ...entries }]);
  return loadYaml(process.cwd(), stringify({ ...example, ...Object.fromEntries(merged) }));
}

for (const page of pages.filter((path) => path !== 'docs/consumers.md')) {
  t.test(`each section of ${page} prints a part of sluice.yaml that loads`, async (t) => {
    const sections = readFileSync(page, 'utf8').split(/^## /m).slice(1);
    t.equal(blocksOf(page).length, sections.length, 'one block a section');
    for (const block of blocksOf(page)) t.doesNotThrow(() => loadWith(block), block);
  });

  t.test(`the addresses in ${page} are those of its lists`, async (t) => {
    const names = new Set(blocksOf(page).flatMap((block) => loadWith(block).config.lists.map(({ name }) => name)));
    const addresses = [...readFileSync(page, 'utf8').matchAll(/\/\/ti\.example\/lists\/([\w-]+)/g)];
    for (const [address, name = ''] of addresses) t.ok(names.has(name), address);
  });
}

t.test('links between the pages lead to files', async (t) => {
  for (const page of pages)
    for (const [, file = ''] of readFileSync(page, 'utf8').matchAll(/\]\(([\w-]+\.md)\)/g))
      t.ok(existsSync(`docs/${file}`), file);
});
