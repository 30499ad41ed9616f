import type { JsonObject } from '../../model/json.ts';

/** Members that servers add to an envelope, beside those of the standard. */
const ENVELOPE = /^(?:more|next|objects|id|spec_version|count|total)$/;
/** Members that tell of a failure, whatever else is there (TAXII 2.1 section 3.6.1 and what servers say instead). */
const FAILURE = /^(?:errors?|error_(?:id|code)|http_status|exception)$/;

/**
 * Is an object without a list of objects an empty envelope (TAXII 2.1 section 3.7: `objects` is optional)? What says `more`
 * may have members that the standard doesn't know; an error message that comes with status 200 is none.
 */
export function isEmptyEnvelope(value: JsonObject): boolean {
  const { objects = null, more } = value;
  const names = Object.keys(value);
  if (objects !== null || names.some((name) => FAILURE.test(name))) return false;
  return value['type'] === 'bundle' || typeof more === 'boolean' || names.every((name) => ENVELOPE.test(name));
}
