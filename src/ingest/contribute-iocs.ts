import type { Micros } from '../model/clock.ts';
import type { ContributedIoc } from '../model/contribution.ts';
import type { ContributedDefinition } from '../model/definition.ts';
import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import { addContributed, checkContributed } from '../publish/contribute.ts';
import { standingObjects } from '../publish/object-entries.ts';
import type { Transaction } from '../store/store.ts';
import { idOfIoc, objectOfIoc, readIoc } from './contributed-ioc.ts';

/**
 * Adds an indicator for each row of a client, as a STIX object of its collection. A row that says what is said already changes nothing;
 * one that says something else on the same value is a later version of its object.
 */
export async function addIocs(
  tx: Transaction,
  { journal, namespace }: { journal: ContributedDefinition; namespace: string },
  rows: readonly Json[],
  now: Micros,
): Promise<ContributedIoc[]> {
  const issued = { namespace, journal: journal.name };
  const read = rows.map((row) => (isJsonObject(row) ? readIoc(row, now) : { refused: 'It is no JSON object.' }));
  const ids = new Set(read.flatMap((said) => ('refused' in said ? [] : idOfIoc(said, issued))));
  const standing = new Map<string, JsonObject>();
  for (const [id, { raw }] of await standingObjects(tx, journal.name, [...ids])) standing.set(id, JSON.parse(raw));
  const outcomes: ContributedIoc[] = [];
  for (const said of read) {
    if ('refused' in said) {
      outcomes.push({ outcome: 'refused', observable: null, id: null, message: said.refused });
      continue;
    }
    const id = idOfIoc(said, issued);
    const before = standing.get(id) ?? null;
    const object = objectOfIoc(said, issued, before, now);
    const { refused } =
      object === before ? { refused: [] } : await addContributed(tx, journal, [checkContributed(object, 0)]);
    const message = refused[0]?.message ?? null;
    const changed = before === null ? 'added' : 'updated';
    const outcome = refused.length > 0 ? 'refused' : object === before ? 'unchanged' : changed;
    if (outcome === changed) standing.set(id, object);
    outcomes.push({ outcome, observable: said.observable, id: outcome === 'refused' ? null : id, message });
  }
  return outcomes;
}
