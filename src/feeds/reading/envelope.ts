import type { JsonObject } from '../../model/json.ts';

/** Members of an envelope: those of the standard, and those that servers add. */
const ENVELOPE = /^(?:more|next|objects|id|spec_version|count|total)$/;
/** Members of an error message (TAXII 2.1 section 3.6.1, and the spellings of servers). */
const FAILURE = /^(?:errors?|error_(?:id|code)|http_status|exception)$/;

/**
 * Is an object without a list of objects an empty envelope (TAXII 2.1 section 3.7: `objects` is optional)? One with `more` may have
 * other members as well. An error message with status 200 is no envelope.
 */
export function isEmptyEnvelope(value: JsonObject): boolean {
  const { objects = null, more } = value;
  const names = Object.keys(value);
  if (objects !== null || names.some((name) => FAILURE.test(name))) return false;
  return value['type'] === 'bundle' || typeof more === 'boolean' || names.every((name) => ENVELOPE.test(name));
}
