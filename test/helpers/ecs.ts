import { readdirSync, readFileSync } from 'node:fs';
import { type EcsContext, type EcsPlace, ecsContext } from '../../src/ecs/data-stream.ts';
import { ecsFields } from '../../src/ecs/fields.ts';
import { parseEntry } from '../../src/ecs/parsed-entry.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { isJsonObject, type Json, type JsonObject, jsonText } from '../../src/model/json.ts';
import type { Observable } from '../../src/model/observable.ts';
import { parseTimestamp } from '../../src/model/timestamp.ts';
import { indicatorEntry } from './entry.ts';

/** An entry and the document it must become: test/fixtures/ecs/documents. */
export interface Golden {
  name: string;
  /** What it is there to show. */
  about: string;
  entry: IndicatorEntry;
  context: EcsContext;
  document: JsonObject;
}

const folder = new URL('../fixtures/ecs/documents/', import.meta.url);

/** Times in fixtures are timestamps, JSON columns are plain JSON; what an entry leaves out is as in `indicatorEntry`. */
export function readGoldens(): Golden[] {
  return readdirSync(folder)
    .sort()
    .map((file) => {
      const { about, place, observable, changes, document } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
      return {
        name: file.replace('.json', ''),
        about,
        entry: indicatorEntry(observable as Observable, columnsOf(changes)),
        context: ecsContext(place as EcsPlace),
        document,
      };
    });
}

/** The plain version of writeEcs: builds the object, which JSON.stringify then writes. */
export function plainDocument(entry: IndicatorEntry, context: EcsContext): JsonObject {
  const parsed = parseEntry(entry, context);
  const document: JsonObject = {};
  for (const row of ecsFields) {
    if (row.only !== undefined && !row.only.includes(entry.type)) continue;
    const value = 'of' in row ? row.of(parsed) : row.fixed(context);
    if (value !== undefined) setField(document, row.field.split('.'), value);
  }
  return document;
}

function setField(object: JsonObject, [name = '', ...inner]: readonly string[], value: Json): void {
  if (inner.length === 0) {
    object[name] = value;
    return;
  }
  const known = object[name];
  const nested = isJsonObject(known) ? known : {};
  object[name] = nested;
  setField(nested, inner, value);
}

const jsonColumns = ['labels', 'references', 'sources', 'kept'];
const timeColumns = ['dateAdded', 'version', 'created', 'validFrom', 'validUntil', 'firstSeen', 'lastSeen'];

function columnsOf(changes: JsonObject): Partial<IndicatorEntry> {
  const column = ([name, value]: [string, Json]): [string, unknown] => {
    if (jsonColumns.includes(name)) return [name, jsonText(value)];
    return [name, timeColumns.includes(name) && typeof value === 'string' ? parseTimestamp(value) : value];
  };
  return Object.fromEntries(Object.entries(changes).map(column));
}
