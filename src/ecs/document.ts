import type { Micros } from '../model/clock.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import type { Json, JsonObject, JsonText } from '../model/json.ts';
import { type ObservableType, observableTypes } from '../model/observable.ts';
import type { EcsContext } from './data-stream.ts';
import { ecsFields } from './fields.ts';
import { type Facts, factsOf } from './parsed-entry.ts';

export type { EcsContext } from './data-stream.ts';

/**
 * One journal entry as an ECS 9.4 document (event.kind enrichment, category threat, type indicator). Pure: an entry gives the
 * same document at the same `at`, so a repeated push is identical. `event.ingested` is left to the cluster.
 * `at` is the document's `@timestamp` (renewal.ts); without it, when the version was made.
 * A tombstone (`entry.revoked`) gives a document that has ended: `stix.revoked`, and `stix.ioc_expiration_date` in the past.
 */
export function ecsDocument(entry: IndicatorEntry, context: EcsContext, at?: Micros): JsonObject {
  return JSON.parse(writeEcs(entry, context, at)) as JsonObject;
}

/** The same document as JSON text in one line: what a bulk body takes. Reuse the context object, its plan is kept with it. */
export function writeEcs(entry: IndicatorEntry, context: EcsContext, at?: Micros): JsonText {
  let plans = plansOf.get(context);
  if (plans === undefined) {
    plans = Object.fromEntries(observableTypes.map((type) => [type, planOf(type, context)])) as Plans;
    plansOf.set(context, plans);
  }
  return write(plans[entry.type], factsOf(entry, context, at)) as JsonText;
}

/**
 * The members of one JSON object: text that never changes, a field to be read, or an object of more members. Fields with a
 * dot in their name are nested, so that every reader of _source finds them where Elastic's own documents have them.
 */
type Member =
  | { text: string }
  | { key: string; of(facts: Facts): Json | undefined }
  | { key: string; members: Member[] };
type Plans = Record<ObservableType, Member[]>;

const plansOf = new WeakMap<EcsContext, Plans>();

function write(members: readonly Member[], facts: Facts): string {
  let text = '';
  for (const member of members) {
    let piece: string;
    if ('text' in member) {
      piece = member.text;
    } else if ('of' in member) {
      const value = member.of(facts);
      if (value === undefined) continue;
      piece = member.key + (typeof value === 'string' ? quote(value) : JSON.stringify(value));
    } else {
      const inner = write(member.members, facts);
      if (inner === '{}') continue;
      piece = member.key + inner;
    }
    text += text === '' ? piece : `,${piece}`;
  }
  return `{${text}}`;
}

/** Text that needs an escape in JSON, or is no well-formed Unicode. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes exactly these (RFC 8259 section 7).
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

/** Most values are plain: looking is cheaper than JSON.stringify. */
function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** The rows that a type has, as a tree; neighbours that never change are one text. */
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
