import { defaultModes, type ListName } from '../src/suppress/warning-lists/modes.ts';
import { lists } from '../src/suppress/warning-lists/shipped.ts';

/** The table of warning lists, made from the lists and their default modes. */
export function makeWarningLists(): string {
  const rows = lists.map(({ name, title, types, version, size }) => {
    const mode = defaultModes[name as ListName];
    return `| \`${name}\` | ${title} | ${types.join(', ')} | ${size} | ${version ?? 'built in'} | \`${mode}\` |`;
  });
  return `${[INTRODUCTION, ...rows].join('\n')}\n`;
}

const INTRODUCTION = `# Warning lists

The lists that \`pools.NAME.warning_lists\` names and what each does by default, made from the lists (\`node docs/generate.ts\`).
[suppression.md](suppression.md) says what \`drop\`, \`lower\` and \`tag\` do and how a list is matched. All but those built in are
[MISP's](https://github.com/MISP/misp-warninglists) (CC0 1.0), in the version named.

| list | what is on it | for | entries | version | default |
|---|---|---|---|---|---|`;
