import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLError,
} from 'yaml';
import { type Mark, type Report, type Step, shorten } from './problem.ts';

/** A value of the configuration file with its position. */
export type ConfigNode =
  | { kind: 'scalar'; value: string | number | boolean | null; at: Mark }
  | { kind: 'list'; items: ConfigNode[]; at: Mark }
  | { kind: 'map'; entries: Map<string, ConfigEntry>; at: Mark }
  /** Its problem was already reported. */
  | { kind: 'broken'; at: Mark };

export interface ConfigEntry {
  keyAt: Mark;
  node: ConfigNode;
}

export const MAX_CONFIG_BYTES = 1_000_000;

/**
 * Parses YAML 1.2 (core schema) without its surprising parts: one document; unique, plain keys; no anchors, aliases, tags or merge
 * keys. Reports every problem. Null when the document can't be read.
 */
export function readDocument(text: string, report: Report): ConfigNode | null {
  const start = { line: 1, column: 1 };
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    report(start, [], `is larger than ${MAX_CONFIG_BYTES} bytes`);
    return null;
  }
  const lines = new LineCounter();
  // Keys are compared below: the parser's own comparison takes quadratic time.
  const options = { version: '1.2', schema: 'core', resolveKnownTags: false, uniqueKeys: false } as const;
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const document = parseDocument(body, { ...options, prettyErrors: false, lineCounter: lines, logLevel: 'error' });
  const markOf = (offset: number): Mark => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };

  for (const error of document.errors) report(markOf(error.pos[0]), [], wordingOf(error));
  if (document.errors.length > 0) return null;
  // A %YAML 1.1 line would bring back merge keys and `no` for false.
  if (document.directives.yaml.explicit === true && document.directives.yaml.version !== '1.2') {
    report(start, [], 'is read as YAML 1.2 only: take out the %YAML line');
  }
  const root = document.contents as Node | null;
  if (root === null) return { kind: 'map', entries: new Map(), at: start };
  const node = convert(root, [], markOf, report);
  if (node.kind === 'map' || (node.kind === 'scalar' && node.value === null)) return node;
  if (node.kind !== 'broken') report(node.at, [], 'must be a mapping of keys to values');
  return null;
}

function convert(node: Node, path: Step[], markOf: (offset: number) => Mark, report: Report): ConfigNode {
  const at = markOf(node.range?.[0] ?? 0);
  if (isAlias(node)) {
    report(at, path, 'YAML aliases (*name) are not allowed: write the value out');
    return { kind: 'broken', at };
  }
  if (node.anchor !== undefined) report(at, path, 'YAML anchors (&name) are not allowed');
  if (node.tag !== undefined) report(at, path, 'YAML tags (!name) are not allowed');
  if (isMap(node)) return { kind: 'map', entries: convertPairs(node.items, path, markOf, report), at };
  if (isSeq(node)) {
    return {
      kind: 'list',
      items: node.items.map((item, i) => convert(item as Node, [...path, i], markOf, report)),
      at,
    };
  }
  const value = isScalar(node) ? node.value : undefined;
  if (typeof value === 'number' && !Number.isFinite(value)) {
    report(at, path, 'must be a finite number');
    return { kind: 'broken', at };
  }
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return { kind: 'scalar', value, at };
  }
  report(at, path, 'is not a value that can stand here');
  return { kind: 'broken', at };
}

function convertPairs(pairs: Pair[], path: Step[], markOf: (offset: number) => Mark, report: Report) {
  const entries = new Map<string, ConfigEntry>();
  for (const pair of pairs) {
    const key = pair.key as Node | null;
    const keyAt = markOf(key?.range?.[0] ?? 0);
    if (!isScalar(key) || key.value === null) {
      report(keyAt, path, 'has a key that is no plain text');
      continue;
    }
    // `8080:` and `true:` are names, as they are written.
    const name = typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
    if (key.anchor !== undefined || key.tag !== undefined) report(keyAt, path, 'YAML anchors and tags are not allowed');
    if (name === '<<') {
      report(keyAt, path, 'YAML merge keys (<<) are not allowed: write the keys out');
      continue;
    }
    const first = entries.get(name);
    if (first !== undefined) {
      report(keyAt, [...path, name], `${shorten(name)} is given twice, first in line ${first.keyAt.line}`);
      continue;
    }
    const value = pair.value as Node | null;
    const node: ConfigNode =
      value === null ? { kind: 'scalar', value: null, at: keyAt } : convert(value, [...path, name], markOf, report);
    entries.set(name, { keyAt, node });
  }
  return entries;
}

/** Messages by error code. The parser's own quote the text, which may hold a secret. */
function wordingOf(error: YAMLError): string {
  return wordings[error.code] ?? 'is not valid YAML here';
}

const wordings: Partial<Record<YAMLError['code'], string>> = {
  BAD_ALIAS: 'YAML aliases (*name) are not allowed: write the value out',
  BAD_DIRECTIVE: 'has a YAML directive (%...) that cannot be read',
  BAD_DQ_ESCAPE: 'has an unknown \\ escape in double quotes; single quotes take everything as it is',
  BAD_INDENT: 'is indented wrongly here, or a bracket before it is not closed',
  BAD_SCALAR_START: 'has a value that starts with a character YAML reserves: put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'has a nested mapping on the same line; a value with ": " in it needs quotes',
  BLOCK_IN_FLOW: 'has a block inside { } or [ ]',
  KEY_OVER_1024_CHARS: 'has a key that is too long',
  MISSING_CHAR: 'lacks a character here: a quote, a comma, a colon or a closing bracket',
  MULTIPLE_DOCS: 'must be one YAML document: take out the --- line',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  TAB_AS_INDENT: 'is indented with a tab: use spaces',
  TAG_RESOLVE_FAILED: 'YAML tags (!name) are not allowed',
  UNEXPECTED_TOKEN: 'has something unexpected here',
};

/** Makes a node from a default or preset, with the position of the line that it comes from. */
export function nodeOf(value: unknown, at: Mark): ConfigNode {
  if (Array.isArray(value)) return { kind: 'list', items: value.map((item) => nodeOf(item, at)), at };
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [key, { keyAt: at, node: nodeOf(item, at) }] as const);
    return { kind: 'map', entries: new Map(entries), at };
  }
  return { kind: 'scalar', value: value as string | number | boolean | null, at };
}

/** The value of a node without positions. */
export function plainOf(node: ConfigNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plainOf);
  if (node.kind === 'broken') return undefined;
  // fromEntries defines `__proto__` as an ordinary key.
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plainOf(entry.node)]));
}
