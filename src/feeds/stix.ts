import Type, { type Static } from 'typebox';
import { isJsonObject, type Json } from '../model/json.ts';
import { rowText } from '../stix/validate.ts';
import type { FeedFormat } from './feed.ts';
import type { Found } from './reading/batches.ts';
import { isEmptyEnvelope } from './reading/envelope.ts';
import { readJsonDocument } from './reading/json-document.ts';
import { type ByteStream, malformed } from './reading/stream.ts';
import { checkPaging, pagingSchema, readPages, type Seen } from './source/paging.ts';
import { checkSource, readSource, sourceAccount, sourceDefaults, sourceOptions } from './source.ts';
import { lift } from './stix/lift.ts';

const ACCEPT = 'application/stix+json;version=2.1, application/taxii+json;version=2.1, application/json, */*;q=0.1';

const optionsSchema = Type.Object(
  { ...sourceOptions, paging: Type.Optional(pagingSchema) },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

/** STIX 2.1: a bundle, an object with `objects` (a TAXII envelope), or one object a line. */
export const stix: FeedFormat<Options> = {
  name: 'stix',
  title:
    'STIX 2.1 or 2.0, bundles or lines, from a file, a watched directory or an address; in pages, plain, gzip, zip or tar',
  options: optionsSchema,
  defaults(options) {
    checkSource(options);
    if (options.paging !== undefined) checkPaging(options.paging, options);
    return { ...sourceDefaults(options), lifetime: {} };
  },
  account: sourceAccount,
  read(feed) {
    const { paging } = feed.options;
    if (paging === undefined) return readSource(feed, ACCEPT, readObjects);
    return readPages(feed, { accept: ACCEPT }, paging, readObjects);
  },
};

/** Throws `upstream-malformed` for what is no STIX or stops in its middle, after everything before was given. */
export async function* readObjects(document: ByteStream): AsyncGenerator<Found[], Seen> {
  const seen: Seen = { items: 0, root: null, first: null, last: null };
  const take = (value: Json, bytes: number): Found[] => {
    if (seen.items === 0) seen.first = value;
    seen.items += 1;
    seen.last = value;
    return foundIn(value, bytes);
  };
  for await (const parts of readJsonDocument(document, { list: ['objects'], format: 'STIX' })) {
    const found: Found[] = [];
    for (const part of parts) {
      const { bytes } = part;
      if ('member' in part) found.push(...take(part.member, bytes));
      else if ('root' in part) {
        seen.root = part.root;
        if (part.members > 0) continue;
        // An error message in JSON must not pass for a feed with one odd row.
        if (part.index === 0 && !isStix(part.root)) {
          throw malformed(document.name, 'STIX', 'it begins with no STIX object', rowText(part.root));
        }
        const objects = objectsOf(part.root);
        found.push(...objects.flatMap((object) => take(object, bytes / objects.length)));
      } else {
        const reason = part.badLine === 'no-json' ? 'bad-stix' : part.badLine;
        found.push({ rejection: { reason, detail: part.detail, row: rowText(part.text) }, bytes });
      }
    }
    if (found.length > 0 || parts.length === 0) yield found;
  }
  return seen;
}

function isStix(root: Json): boolean {
  if (Array.isArray(root)) return true;
  return isJsonObject(root) && (typeof root['type'] === 'string' || isList(root));
}

/** What a list, a bundle (STIX 2.1 section 8) or an envelope (TAXII 2.1 section 3.7) holds; else the object itself. */
function objectsOf(root: Json): Json[] {
  if (Array.isArray(root)) return root;
  if (!isJsonObject(root) || !(root['type'] === 'bundle' || isList(root))) return [root];
  return Array.isArray(root['objects']) ? root['objects'] : [];
}

function isList(root: Record<string, Json>): boolean {
  return Array.isArray(root['objects']) || isEmptyEnvelope(root);
}

function foundIn(value: Json, bytes: number): Found[] {
  if (isJsonObject(value)) {
    const lifted = lift(value);
    return lifted.map((stix) => ({ item: { stix }, bytes: bytes / lifted.length }));
  }
  const detail = 'among the STIX objects stands something that is none';
  return [{ rejection: { reason: 'not-an-object', detail, row: rowText(value) }, bytes }];
}
