import { listWords, type SchemaNode } from '../src/config/messages.ts';
import { feedSchema } from '../src/config/schema/feed.ts';
import { listSchema } from '../src/config/schema/list.ts';
import { fileSchema, sinkSchema } from '../src/config/schema.ts';
import type { FeedFormat } from '../src/feeds/feed.ts';
import { presets } from '../src/feeds/presets.ts';
import { feedFormats } from '../src/feeds/registry.ts';
import { formatDuration } from '../src/model/duration.ts';
import type { Output } from '../src/outputs/output.ts';
import { outputs } from '../src/outputs/registry.ts';
import { sinkKinds } from '../src/sinks/registry.ts';
import { servedEngines } from '../src/store/registry.ts';

/** The reference of the configuration file, made from the schemas that read it: what stands there is what is refused or taken. */
export function makeReference(): string {
  const { properties = {} } = fileSchema as SchemaNode;
  const all = Object.entries(properties).map(([path, node]) => ({ path, node, isRequired: false }));
  const isSection = ({ node }: Row): boolean => node.properties !== undefined || node.patternProperties !== undefined;
  const sections = all.filter(isSection).flatMap(({ path, node }) => {
    if (path === 'feeds') return feedSections();
    if (path === 'sinks') return sinkSections();
    if (path === 'lists') return listSections();
    return node.properties === undefined ? namedSection(path, node) : section(path, node);
  });
  const top = table(all.filter((row) => !isSection(row)));
  return `${[INTRODUCTION, ...top, '', ...storeSections(), ...sections].join('\n').trimEnd()}\n`;
}

const INTRODUCTION = `# Configuration

Every key of \`sluice.yaml\`, made from the schemas that read it (\`node docs/generate.ts\`). \`sluice.example.yaml\` is a file to start from,
\`sluice check-config\` names everything that is wrong with a file at once, with its line, and \`sluice print-config\` shows it with all
defaults. Unknown keys are refused. Durations are written \`500ms\`, \`90s\`, \`10m\`, \`1h\`, \`30d\`, \`2w\`; relative paths start at the file's
directory. A secret is \`{ env: NAME }\` or \`{ file: PATH }\`, never the value itself; \`optional: true\` beside it leaves out the feed or sink
that needs it while it is missing.

## Top level
`;

function storeSections(): string[] {
  return Object.values(servedEngines).flatMap(({ name, title, options }) => [
    `### Stores with \`engine: ${name}\``,
    '',
    `${title}.`,
    '',
    ...keys(options as SchemaNode),
  ]);
}

function feedSections(): string[] {
  const formats = Object.values<FeedFormat>(feedFormats).flatMap(({ name, title, options }) => [
    `### Feeds with \`format: ${name}\``,
    '',
    `${title}.`,
    '',
    ...keys(options as SchemaNode),
  ]);
  const rows = Object.entries(presets).map(([name, { format, title, options }]) => {
    const set = Object.entries(options).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    return `| \`${name}\` | ${title} | \`${format}\` | ${set.map(code).join(' ')} |`;
  });
  const known = ['### Presets', '', '| preset | reads | format | what it sets |', '|---|---|---|---|', ...rows, ''];
  const common = ['## `feeds.NAME`', '', 'Keys of every feed, beside those of its format.', '', ...keys(feedSchema)];
  return [...common, ...formats, ...known];
}

function sinkSections(): string[] {
  const kinds = Object.values(sinkKinds).flatMap(({ name, title, options }) => [
    `### Sinks with \`type: ${name}\``,
    '',
    `${title}.`,
    '',
    ...keys(options as SchemaNode),
  ]);
  return ['## `sinks.NAME`', '', 'Keys of every sink, beside those of its type.', '', ...keys(sinkSchema), ...kinds];
}

function listSections(): string[] {
  const formats = Object.values<Output>(outputs).flatMap(({ name, title, options }) => {
    const own = options as SchemaNode;
    if (Object.keys(own.properties ?? {}).length === 0) return [];
    return [`### Lists with \`format: ${name}\``, '', `${title}.`, '', ...keys(own)];
  });
  const about = 'A collection in the form that another tool reads, at `/lists/NAME` ([lists.md](lists.md)).';
  return ['## `lists.NAME`', '', about, '', ...keys(listSchema), ...formats];
}

function namedSection(name: string, node: SchemaNode): string[] {
  const [each] = Object.values(node.patternProperties ?? {});
  return each === undefined ? [] : section(`${name}.NAME`, each);
}

function section(name: string, node: SchemaNode): string[] {
  return [`## \`${name}\``, '', ...(node.description === undefined ? [] : [node.description, '']), ...keys(node)];
}

function keys(node: SchemaNode): string[] {
  return [...table(flatten(node)), ''];
}

interface Row {
  path: string;
  node: SchemaNode;
  isRequired: boolean;
}

/** Keys of mappings inside stand under their path: `tls.cert`. Keys that mean the same each are told with their mapping. */
function flatten(node: SchemaNode, prefix = ''): Row[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, child]): Row[] => {
    const path = `${prefix}${name}`;
    const [each] = Object.values(child.patternProperties ?? {});
    const isRequired = child.default === undefined && (node.required?.includes(name) ?? false);
    if (child.properties !== undefined && child['x-keys'] !== undefined) return [{ path, node: child, isRequired }];
    const inside = each?.properties === undefined ? flatten(child, `${path}.`) : flatten(each, `${path}.KEY.`);
    return [{ path, node: child, isRequired }, ...inside];
  });
}

function table(rows: Row[]): string[] {
  const lines = rows.map((row) => {
    const { path, node, isRequired } = row;
    return `| \`${path}\` | ${wordsOf(node)} | ${isRequired ? 'required' : defaultOf(node)} | ${cell(meaningOf(row))} |`;
  });
  return ['| key | value | default | meaning |', '|---|---|---|---|', ...lines];
}

/** Throws for a key that nobody has described: the reference is whole or isn't made. */
function meaningOf({ path, node }: Row): string {
  if (node.description === undefined) throw new Error(`${path} has no description`);
  return node.description;
}

function defaultOf(node: SchemaNode): string {
  const { default: value } = node;
  if (value === undefined || (typeof value === 'object' && Object.keys(value as object).length === 0)) return '';
  return code(typeof value === 'string' ? value : JSON.stringify(value));
}

function wordsOf(node: SchemaNode): string {
  if (node['x-secret'] === true) return node['x-pem'] === true ? 'PEM, a secret' : 'a secret';
  if (node['x-expects'] !== undefined) return cell(node['x-expects']);
  const words = node.enum ?? node.anyOf?.flatMap(({ const: only }) => (only === undefined ? [] : [only])) ?? [];
  if (words.length > 0 && words.length === (node.enum ?? node.anyOf)?.length) {
    return cell(listWords(words.map((word) => code(String(word)))));
  }
  if (node.anyOf !== undefined) return listWords(node.anyOf.map(wordsOf));
  switch (node.type) {
    case 'boolean':
      return '`true` or `false`';
    case 'array':
      return `a list, each ${wordsOf(node.items ?? {})}`;
    case 'integer':
    case 'number':
      return numberOf(node);
    case 'string':
      return 'text';
    default:
      return node.const === undefined ? 'keys and values' : code(String(node.const));
  }
}

function numberOf(node: SchemaNode): string {
  const { minimum, maximum } = node as { minimum?: number; maximum?: number };
  if (node['x-duration'] === true)
    return `a duration, ${formatDuration(minimum ?? 0)} to ${formatDuration(maximum ?? 0)}`;
  const kind = node.type === 'integer' ? 'a whole number' : 'a number';
  if (minimum === undefined) return kind;
  return maximum === undefined ? `${kind}, ${minimum} or more` : `${kind}, ${minimum} to ${maximum}`;
}

const code = (text: string): string => `\`${cell(text)}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
