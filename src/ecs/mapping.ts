import { isJsonObject, type Json, type JsonObject } from '../model/json.ts';
import { ecsFields } from './fields.ts';
import type { EcsRow } from './row.ts';

/** `mappings` of an index or component template. */
export interface EcsMappings extends JsonObject {
  dynamic: false;
  properties: JsonObject;
}

/**
 * The mappings of ECS documents, made from the same rows as the documents (fields.ts). `dynamic: false`: a field that an ingest
 * hook adds stays in _source and is not mapped; `strict` would refuse the document.
 *
 * `plain` uses only field types that every node has: `wildcard`, `constant_keyword` and `match_only_text` belong to modules
 * that a bare node lacks, and one unknown type makes a whole template fail. Terms then match the same; only
 * leading-wildcard searches on URLs are slower.
 */
export function ecsMappings({ plain = false }: { plain?: boolean } = {}): EcsMappings {
  const properties: JsonObject = {};
  for (const row of ecsFields) addProperty(properties, row.field.split('.'), propertyOf(row, plain));
  return { dynamic: false, properties };
}

/** Sets the mapping of a field, nested in the mappings of the objects that hold it. */
function addProperty(properties: JsonObject, [name = '', ...inner]: readonly string[], property: Json): void {
  if (inner.length === 0) {
    properties[name] = property;
    return;
  }
  const known = properties[name];
  const nested = isJsonObject(known) && isJsonObject(known['properties']) ? known['properties'] : {};
  properties[name] ??= { properties: nested };
  addProperty(nested, inner, property);
}

/** ECS: longer keywords are not indexed and stay in _source. */
const KEYWORD_LENGTH = 1024;
/** The limit of ECS for a query string. */
const QUERY_LENGTH = 2083;
/** Characters of a keyword that never exceed Lucene's limit of 32,766 bytes a term. A longer term would make the cluster refuse the document. */
const LONGEST_KEYWORD = 8191;

function propertyOf({ field, type, text }: EcsRow, plain: boolean): Json {
  const property = typeOf(field, type, plain);
  if (text !== undefined) property['fields'] = { text: { type: plain ? 'text' : text } };
  return property;
}

function typeOf(field: string, type: EcsRow['type'], plain: boolean): JsonObject {
  if (type === 'wildcard') return plain ? { type: 'keyword', ignore_above: LONGEST_KEYWORD } : { type };
  if (type === 'constant_keyword') return plain ? { type: 'keyword', ignore_above: KEYWORD_LENGTH } : { type };
  if (type === 'keyword') return { type, ignore_above: field.endsWith('url.query') ? QUERY_LENGTH : KEYWORD_LENGTH };
  if (type === 'flattened') return { type, ignore_above: KEYWORD_LENGTH };
  return { type };
}
