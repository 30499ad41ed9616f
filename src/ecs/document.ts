import type { Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { type Json, type JsonObject, type JsonText, parseJson, trustJson } from '../model/json.ts';
import type { ObservableType } from '../model/observable.ts';
import type { EcsContext } from './data-stream.ts';
import { ecsFields } from './fields.ts';
import { type ParsedEntry, parseEntry } from './parsed-entry.ts';

export type { EcsContext } from './data-stream.ts';

/**
 * A journal entry as an ECS 9.4 document (event.kind enrichment, category threat, type indicator). The same entry gives the same
 * document at the same `at`, so a repeated push changes nothing. The cluster sets `event.ingested`.
 * `at` is the document's `@timestamp` (renewal.ts); absent: when the version was made.
 * A tombstone gives a document that has ended: `stix.revoked`, and `stix.ioc_expiration_date` in the past.
 */
export function ecsDocument(entry: IndicatorEntry, context: EcsContext, at?: Micros): JsonObject {
  return parseJson(writeEcs(entry, context, at));
}

/**
 * The same document as JSON text in one line, for a bulk body. It is written by a plan per observable type, made once per context
 * object, so that members which never change are one text (bench/ecs.ts). The plain version, which builds the object, is in
 * test/helpers/ecs.ts.
 */
export function writeEcs(entry: IndicatorEntry, context: EcsContext, at?: Micros): JsonText<JsonObject> {
  let plans = plansOf.get(context);
  if (plans === undefined) {
    plans = new Map();
    plansOf.set(context, plans);
  }
  let plan = plans.get(entry.type);
  if (plan === undefined) {
    plan = planOf(entry.type, context);
    plans.set(entry.type, plan);
  }
  return trustJson(write(plan, parseEntry(entry, context, at)));
}

/**
 * A member of a JSON object: text that never changes, a field that is read from the entry, or an object of members. Fields with a
 * dot in their name are nested, as in Elastic's own documents.
 */
type Member =
  | { text: string }
  | { key: string; of(parsed: ParsedEntry): Json | undefined }
  | { key: string; members: Member[] };
const plansOf = new WeakMap<EcsContext, Map<ObservableType, Member[]>>();

function write(members: readonly Member[], parsed: ParsedEntry): string {
  let text = '';
  for (const member of members) {
    let piece: string;
    if ('text' in member) {
      piece = member.text;
    } else if ('of' in member) {
      const value = member.of(parsed);
      if (value === undefined) continue;
      piece = member.key + (typeof value === 'string' ? quote(value) : JSON.stringify(value));
    } else {
      const inner = write(member.members, parsed);
      if (inner === '{}') continue;
      piece = member.key + inner;
    }
    text += text === '' ? piece : `,${piece}`;
  }
  return `{${text}}`;
}

/** Characters that need an escape in JSON, and lone surrogates. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes exactly these (RFC 8259 section 7).
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

/** Most values need no escape, and testing for that is cheaper than JSON.stringify. */
function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** The rows of an observable type as a tree. */
function planOf(type: ObservableType, context: EcsContext): Member[] {
  const root: Member[] = [];
  for (const row of ecsFields) {
    if (row.only !== undefined && !row.only.includes(type)) continue;
    const path = row.field.split('.');
    const key = `${JSON.stringify(path.pop())}:`;
    if ('of' in row) {
      membersAt(root, path).push({ key, of: row.of });
      continue;
    }
    const value = row.fixed(context);
    if (value !== undefined) membersAt(root, path).push({ text: key + JSON.stringify(value) });
  }
  return fold(root);
}

/** The members of the object at a path, which is added where it is missing. */
function membersAt(root: Member[], path: readonly string[]): Member[] {
  let members = root;
  for (const name of path) {
    const key = `${JSON.stringify(name)}:`;
    const found = members.find((member) => 'members' in member && member.key === key);
    if (found !== undefined && 'members' in found) {
      members = found.members;
    } else {
      const inner: Member[] = [];
      members.push({ key, members: inner });
      members = inner;
    }
  }
  return members;
}

/** Joins neighbouring members that never change into one text. */
function fold(members: readonly Member[]): Member[] {
  const folded: Member[] = [];
  for (const member of members) {
    let next = member;
    if ('members' in member) {
      const inner = fold(member.members);
      const [only] = inner;
      next =
        inner.length === 1 && only !== undefined && 'text' in only
          ? { text: `${member.key}{${only.text}}` }
          : { key: member.key, members: inner };
    }
    const last = folded.at(-1);
    if ('text' in next && last !== undefined && 'text' in last) last.text += `,${next.text}`;
    else folded.push('text' in next ? { ...next } : next);
  }
  return folded;
}
