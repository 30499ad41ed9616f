import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type Json } from '../../model/json.ts';
import { rowText } from '../../stix/validate.ts';
import type { Found } from '../reading/batches.ts';
import { beginJson, readJsonLines } from '../reading/json-document.ts';
import { type Path, readPath, readSelector, type Selector } from '../reading/json-path.ts';
import { type JsonShape, readJsonStream } from '../reading/json-stream.ts';
import { type ByteStream, malformed } from '../reading/stream.ts';
import type { Seen } from '../source/paging.ts';
import { type Condition, type ItemReader, itemReader, type RowOptions, readCondition } from './rows.ts';

export interface DocumentOptions extends RowOptions {
  items?: string;
  lines?: boolean;
  expect_count?: string;
  fail_where?: Condition;
  empty_where?: Condition;
}

/** How documents are read, made once of the options. */
export interface Plan {
  isLines: boolean;
  items: Path;
  shape: JsonShape;
  read: ItemReader;
  expected: { text: string; select: Selector } | null;
  isFailure(root: Json): boolean;
  isEmpty(root: Json): boolean;
}

const FORMAT = 'JSON';

/** Throws `config-invalid` for paths that can't be read. */
export function planOf(options: DocumentOptions): Plan {
  const items = readPath(options.items ?? '$[*]');
  return {
    isLines: options.lines ?? false,
    items,
    shape: { list: listOf(items), format: FORMAT },
    read: itemReader(options),
    expected:
      options.expect_count === undefined
        ? null
        : { text: options.expect_count, select: readSelector(options.expect_count) },
    isFailure: readCondition(options.fail_where),
    isEmpty: readCondition(options.empty_where),
  };
}

/**
 * Items of one list, whatever the names that lead to it, or of one list in each member, are read as they come. For any other path the
 * document is held. `$[*]` means a list, and `$.*` the members of an object too.
 */
function listOf({ steps, text }: Path): JsonShape['list'] {
  if (steps === null || steps.at(-1) !== 'every') return null;
  const way = steps.slice(0, -1);
  if (way.length === 0) return text.endsWith(']') ? [] : null;
  if (way.length === 1 && way[0] === 'every') return { each: true };
  const names = way.flatMap((step) => (step === 'every' ? [] : [step.name]));
  return names.length === way.length ? names : null;
}

/** What a document holds, and at its end what stood around that. Throws `upstream-malformed` and `upstream-too-large`. */
export async function* readItems(document: ByteStream, plan: Plan): AsyncGenerator<Found[], Seen> {
  const seen: Seen = { items: 0, root: null, first: null, last: null };
  const { whole } = await beginJson(document, FORMAT);
  let declared: unknown;
  const take = (item: Json, bytes: number): Found[] => {
    const { found, skipped } = plan.read(item, bytes);
    if (skipped) {
      declared = plan.expected?.select(item) ?? declared;
      return [];
    }
    if (seen.items === 0) seen.first = item;
    seen.items += 1;
    seen.last = item;
    return found;
  };
  if (plan.isLines) yield* readEachLine(document.name, whole, take, seen);
  else {
    for await (const parts of readJsonStream(document.name, whole, plan.shape)) {
      const found: Found[] = [];
      for (const part of parts) {
        if ('member' in part) {
          for (const one of take(part.member, part.bytes)) found.push(one);
          continue;
        }
        const { root, members, bytes } = part;
        seen.root = root;
        declared = plan.expected?.select(root) ?? declared;
        // Items that are no list but members of an object were not given one by one.
        const items = members > 0 || isOtherShape(root, plan) ? [] : plan.items.find(root);
        checkRoot(document.name, root, members + items.length, plan);
        for (const item of items) for (const one of take(item, bytes / items.length)) found.push(one);
      }
      if (found.length > 0 || parts.length === 0) yield found;
    }
  }
  checkCount(document.name, declared, seen.items, plan);
  return seen;
}

async function* readEachLine(
  name: string,
  chunks: AsyncIterable<Buffer>,
  take: (item: Json, bytes: number) => Found[],
  seen: Seen,
): AsyncGenerator<Found[]> {
  for await (const parts of readJsonLines(name, chunks, { format: FORMAT })) {
    const found: Found[] = [];
    for (const part of parts) {
      if ('root' in part) found.push(...take(part.root, part.bytes));
      else if ('badLine' in part) {
        const { badLine, detail, text, bytes } = part;
        seen.items += 1;
        const reason = badLine === 'no-json' ? 'not-an-object' : badLine;
        found.push({ rejection: { reason, detail, row: rowText(text) }, bytes });
      }
    }
    if (found.length > 0 || parts.length === 0) yield found;
  }
}

/** An error message in JSON must not pass for a list without rows. */
function checkRoot(name: string, root: Json, items: number, plan: Plan): void {
  if (plan.isFailure(root)) throw malformed(name, FORMAT, 'it says that the request failed', rowText(root));
  const isThere = !isOtherShape(root, plan) && (items > 0 || hasPlaceFor(root, plan));
  if (isThere || plan.isEmpty(root)) return;
  throw malformed(name, FORMAT, `it holds nothing at ${plan.items.text}`, rowText(root));
}

/** A list in place of an object, or an object in place of a list. */
function isOtherShape(root: Json, { shape: { list } }: Plan): boolean {
  return list !== null && Array.isArray(root) !== (Array.isArray(list) && list.length === 0);
}

/** Is there what the items stand in, be it empty? */
function hasPlaceFor(root: Json, { items, shape }: Plan): boolean {
  if (typeof root !== 'object' || root === null) return false;
  if (shape.list !== null && 'each' in shape.list) {
    return Object.values(root).every((member) => typeof member === 'object' && member !== null);
  }
  let value: Json = root;
  for (const step of items.steps ?? []) {
    if (typeof value !== 'object' || value === null) return false;
    if (step === 'every') return true;
    if (!isJsonObject(value) || !Object.hasOwn(value, step.name)) return false;
    value = value[step.name] as Json;
  }
  return true;
}

/** A list that holds another number of rows than it says was cut, or is changed while it is read. */
function checkCount(name: string, declared: unknown, items: number, { expected }: Plan): void {
  if (expected === null) return;
  const count = typeof declared === 'string' && /^\d{1,15}$/.test(declared) ? Number(declared) : declared;
  if (count === items) return;
  const said = typeof count === 'number' ? `says that it holds ${count} rows` : `does not say how many rows it holds`;
  throw new GatewayError('upstream-malformed', `${name} ${said} (${expected.text}), and holds ${items}.`);
}
