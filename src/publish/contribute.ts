import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Micros } from '../model/clock.ts';
import type { ContributedObject } from '../model/contribution.ts';
import type { ContributedDefinition } from '../model/definition.ts';
import type { ObjectEntry } from '../model/entry.ts';
import { lastVersions, type VersionFilter } from '../model/entry-filter.ts';
import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import type { StixObject } from '../model/observation.ts';
import { parseTimestamp } from '../model/timestamp.ts';
import { isWithin, stricter, type Tlp } from '../model/tlp.ts';
import { objectMarkings, tlpMarkingIds, tlpOfLabels } from '../stix/marking.ts';
import { tlpOfDefinition } from '../stix/marking-definition.ts';
import { parseSyntax } from '../stix/pattern/syntax.ts';
import { checkStixObject } from '../stix/validate.ts';
import type { AppendEntry, Transaction } from '../store/store.ts';
import { objectEntry, standingObjects } from './object-entries.ts';

/**
 * What clients add to a collection of their own: every valid STIX 2.1 object as it is, with its own id and version. An object that is
 * there already, in the same version, is taken and changes nothing (TAXII 2.1 section 5.5).
 */

/** An object that strict readers take, or why it is refused. `note`: what was changed in it. */
export type Checked = { object: StixObject; note: string | null } | { refused: ContributedObject };

/** What became of objects. */
export interface Added {
  taken: ContributedObject[];
  refused: ContributedObject[];
}

/** Objects looked up and appended at once; between two slices other work of the thread goes on. */
const SLICE = 100;
const MAX_MESSAGE = 500;
/** Longest part of an id that is no STIX id and is told back. */
const MAX_ID = 300;

/** Checks what was sent as one object. `place`: its index, which names it where it has no id. */
export function checkContributed(value: Json, place: number): Checked {
  const refuse = (message: string): Checked => {
    const version = isJsonObject(value) ? (timeOf(value['modified']) ?? timeOf(value['created'])) : null;
    return { refused: { id: idOf(value, place), version, message: shorten(message) } };
  };
  if (!isJsonObject(value)) return refuse('It is no JSON object.');
  const notes: string[] = [];
  const checked = checkStixObject(value, (note) => notes.push(note));
  if ('reason' in checked) return refuse(checked.detail);
  const fault = patternFault(checked.raw);
  if (fault !== null) return refuse(`pattern: ${fault}`);
  return { object: checked, note: notes.length === 0 ? null : shorten(notes.join('; ')) };
}

/** Why a pattern is none (STIX 2.1 section 9); null also for one of another language, which others read. */
function patternFault({ type, pattern, pattern_type: language = 'stix' }: JsonObject): string | null {
  if (type !== 'indicator' || language !== 'stix') return null;
  const syntax = parseSyntax(typeof pattern === 'string' ? pattern : '');
  if ('fault' in syntax) return syntax.fault;
  return syntax.isLoose ? 'spelt in a way that STIX does not allow' : null;
}

/** Adds objects in their order. Those that are marked above the collection's ceiling, or in a way that is not known here, are refused. */
export async function addContributed(
  tx: Transaction,
  journal: ContributedDefinition,
  all: readonly Checked[],
): Promise<Added> {
  const levels = definitionsIn(all);
  // The setting may have been another one when the journal was made.
  const keepVersions = (await tx.journals()).find(({ name }) => name === journal.name)?.keepVersions ?? 'last';
  const added: Added = { taken: [], refused: [] };
  for (let start = 0; start < all.length; start += SLICE) {
    const sound: Extract<Checked, { object: StixObject }>[] = [];
    const slice = all.slice(start, start + SLICE);
    await readLevels(tx, journal, slice, levels);
    for (const one of slice) {
      if ('refused' in one) added.refused.push(one.refused);
      else {
        const message = markingFault(one.object.raw, journal.tlp, levels);
        if (message === null) sound.push(one);
        else added.refused.push({ id: one.object.id, version: timeOf(one.object.version), message });
      }
    }
    added.taken.push(...(await appendObjects(tx, { ...journal, keepVersions }, sound)));
    await nextTurn();
  }
  return added;
}

async function appendObjects(
  tx: Transaction,
  { name, keepVersions }: ContributedDefinition,
  sound: readonly Extract<Checked, { object: StixObject }>[],
): Promise<ContributedObject[]> {
  if (sound.length === 0) return [];
  const known = await knownVersions(
    tx,
    name,
    sound.map(({ object }) => object),
  );
  const dates = await tx.stamp(name, sound.length);
  const appended: AppendEntry[] = [];
  const taken = sound.map(({ object, note }, i): ContributedObject => {
    const entry = objectEntry(object, dates[i] as Micros);
    const before = known.get(object.id) ?? { last: null, versions: new Set() };
    const { last } = before;
    const told = (version: Micros, message: string | null) => ({ id: object.id, version, message });
    // Sluice's own identity and the markings of TLP, which posts often carry along, stand in every journal.
    if (last?.isProducerObject || tlpMarkingIds.includes(object.id)) return told(entry.version, null);
    // Observables have no version of their own (STIX 2.1 section 3.1): another content is another version.
    if (object.version === null && last?.raw === entry.raw) return told(last.version, null);
    if (object.version !== null && before.versions.has(entry.version)) return told(entry.version, null);
    const isEarlier = last !== null && entry.version < last.version;
    if (isEarlier && keepVersions === 'last') return told(entry.version, 'A later version is there, which stays.');
    appended.push({
      entry: { ...entry, superseded: isEarlier },
      replaces: isEarlier ? null : (last?.dateAdded ?? null),
    });
    before.versions.add(entry.version);
    known.set(object.id, { ...before, last: isEarlier ? last : entry });
    return told(entry.version, note);
  });
  if (appended.length > 0) await tx.append(name, appended);
  return taken;
}

/** What a journal holds of an object: its last version, and which of the versions asked for. */
interface Known {
  last: ObjectEntry | null;
  versions: Set<Micros>;
}

async function knownVersions(
  tx: Transaction,
  journal: string,
  objects: readonly StixObject[],
): Promise<Map<string, Known>> {
  const known = new Map<string, Known>();
  const exact = [...new Set(objects.flatMap(({ version }) => timeOf(version) ?? []))];
  const versions: VersionFilter = { last: true, first: false, all: false, exact };
  for (const entry of await readEntries(tx, journal, [...new Set(objects.map(({ id }) => id))], versions)) {
    const one = known.get(entry.objectId) ?? { last: null, versions: new Set() };
    one.versions.add(entry.version);
    known.set(entry.objectId, entry.superseded ? one : { ...one, last: entry });
  }
  return known;
}

/**
 * Removes these versions of an object, whoever added them. Where its last version goes and an earlier one stays, that is the last
 * from now on: it is appended again, so that readers who are past its date hear of it. Returns how many went.
 */
export async function removeContributed(
  tx: Transaction,
  { name }: ContributedDefinition,
  objectId: string,
  versions: VersionFilter,
): Promise<number> {
  const all: VersionFilter = { last: false, first: false, all: true, exact: [] };
  const standing = (await readEntries(tx, name, [objectId], all)).filter(({ isProducerObject }) => !isProducerObject);
  standing.sort((a, b) => a.version - b.version);
  const gone = standing.filter(
    (entry, i) =>
      versions.all ||
      (versions.last && !entry.superseded) ||
      (versions.first && i === 0) ||
      versions.exact.includes(entry.version),
  );
  const left = standing.filter((entry) => !gone.includes(entry));
  const [last] = left.slice(-1);
  const dates = gone.map(({ dateAdded }) => dateAdded);
  if (last?.superseded && gone.some(({ superseded }) => !superseded)) {
    const [dateAdded] = await tx.stamp(name, 1);
    const entry = { ...last, dateAdded: dateAdded as Micros, superseded: false };
    await tx.append(name, [{ entry, replaces: null }]);
    dates.push(last.dateAdded);
  }
  if (dates.length > 0) await tx.purge(name, dates);
  return gone.length;
}

async function readEntries(
  tx: Transaction,
  journal: string,
  objectIds: readonly string[],
  versions: VersionFilter,
): Promise<ObjectEntry[]> {
  const found: ObjectEntry[] = [];
  for (let after: Micros | null = 0; after !== null; ) {
    const query = { ...lastVersions(journal), objectIds, versions, after, limit: 1000 };
    const { entries, more }: Awaited<ReturnType<Transaction['page']>> = await tx.page(query);
    for (const entry of entries) if (entry.kind === 'object') found.push(entry);
    after = more ? (entries.at(-1)?.dateAdded ?? null) : null;
  }
  return found;
}

/** The levels of markings that only their definitions explain, by id: null for a statement. */
type Levels = Map<string, Tlp | null>;

function definitionsIn(all: readonly Checked[]): Levels {
  const levels: Levels = new Map();
  for (const one of all) {
    if (!('object' in one) || one.object.type !== 'marking-definition' || levels.has(one.object.id)) continue;
    levels.set(one.object.id, tlpOfDefinition(one.object.raw));
  }
  return levels;
}

/** Reads the definitions that the collection holds: what was said first of a marking stays, for they have no versions (STIX 2.1 section 7.2). */
async function readLevels(
  tx: Transaction,
  { name }: ContributedDefinition,
  slice: readonly Checked[],
  levels: Levels,
): Promise<void> {
  const refs = new Set(slice.flatMap((one) => ('object' in one ? objectMarkings(one.object.raw).others : [])));
  for (const [id, { raw }] of await standingObjects(tx, name, [...refs]))
    levels.set(id, tlpOfDefinition(JSON.parse(raw)));
}

/** Why an object's markings keep it out; null: they don't. An object without any is for all who may read the collection. */
function markingFault(raw: JsonObject, ceiling: Tlp, levels: ReadonlyMap<string, Tlp | null>): string | null {
  const { tlp, others } = objectMarkings(raw);
  const unknown = others.find((ref) => !levels.has(ref));
  if (unknown !== undefined) return shorten(`Its marking ${unknown} is not known here: add its definition first.`);
  const level = others.reduce(
    (strictest, ref) => stricter(strictest, levels.get(ref) ?? null),
    stricter(tlp, tlpOfLabels(raw['labels'])),
  );
  if (level === null || isWithin(level, ceiling)) return null;
  return `It is marked TLP:${level.toUpperCase()}, and this collection takes up to TLP:${ceiling.toUpperCase()}.`;
}

function idOf(value: Json, place: number): string {
  const id = isJsonObject(value) ? value['id'] : null;
  return typeof id === 'string' && id !== '' ? id.slice(0, MAX_ID).toWellFormed() : `objects[${place}]`;
}

function timeOf(text: Json | undefined): Micros | null {
  return typeof text === 'string' ? (parseTimestamp(text) ?? null) : null;
}

function shorten(text: string): string {
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 1).toWellFormed()}…` : text;
}
