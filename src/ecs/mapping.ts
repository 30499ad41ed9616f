import type { Json, JsonObject } from '../model/json.ts';
import { ecsFields } from './fields.ts';
import type { EcsRow } from './row.ts';

/**
 * `mappings` of an index or component template for what ecsDocument writes, made from the same rows. `dynamic: false`: what an
 * ingest hook adds stays in _source and neither grows the mapping nor, as `strict` would, loses the document; whoever wants to
 * search it maps it in a template of their own.
 *
 * `plain` uses only field types that every node has: `wildcard`, `constant_keyword` and `match_only_text` belong to modules
 * that a bare node lacks, and one unknown type makes a whole template fail. Terms then match the same; only
 * leading-wildcard searches on URLs are slower.
 */
export function ecsMappings(options: { plain?: boolean } = {}): JsonObject {
  const properties: JsonObject = {};
  for (const row of ecsFields) {
    const path = row.field.split('.');
    const last = path.pop() as string;
    let inner = properties;
    for (const name of path) {
      inner[name] ??= { properties: {} };
      inner = (inner[name] as { properties: JsonObject }).properties;
    }
    inner[last] = propertyOf(row, options.plain === true);
  }
  return { dynamic: false, properties };
}

/** ECS: keywords are indexed up to this length, and kept in _source beyond it. */
const KEYWORD_LENGTH = 1024;
/** ECS gives a query string more. */
const QUERY_LENGTH = 2083;
/** Longest keyword that can't exceed Lucene's 32,766 bytes a term, whatever its letters; above, the document would be refused. */
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
