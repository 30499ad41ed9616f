import Type, { type TSchema } from 'typebox';
import type { Handler, Operation } from '../methods.ts';
import {
  type ErrorForm,
  numberParameter,
  type OperationText,
  operation,
  type Reply,
  textParameter,
  timeParameter,
} from '../operation.ts';
import { TAXII_TYPE } from './error-message.ts';

/** TAXII 2.1's resources as schemas. All of them allow further members. */

const timestamp = (description: string) =>
  Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{6}Z$', description });

const errorForm: ErrorForm = {
  tag: 'TAXII',
  mediaType: TAXII_TYPE,
  // Section 3.6.1.
  schema: Type.Object(
    {
      title: Type.String(),
      description: Type.String(),
      error_code: Type.String(),
      http_status: Type.String({ pattern: '^[45]\\d\\d$' }),
      details: Type.Optional(Type.Record(Type.String(), Type.String())),
    },
    { title: 'TaxiiError' },
  ),
  access: 'clients',
};

export type TaxiiText = Omit<OperationText, 'reply'> & { reply?: TSchema; headers?: Reply['headers'] };

export function taxiiOperation({ reply, headers, ...text }: TaxiiText, handler: Handler): Operation {
  if (reply === undefined) return operation(text, errorForm, handler);
  const described = { description: titleOf(reply), content: { [TAXII_TYPE]: reply } };
  return operation(
    { ...text, reply: headers === undefined ? described : { ...described, headers } },
    errorForm,
    handler,
  );
}

function titleOf(schema: TSchema): string {
  return (schema as { title?: string }).title ?? 'Done.';
}

/** Section 4.1. */
export const discoverySchema = Type.Object(
  {
    title: Type.String(),
    description: Type.Optional(Type.String()),
    contact: Type.Optional(Type.String()),
    default: Type.Optional(Type.String({ description: 'The first of them.' })),
    api_roots: Type.Optional(
      Type.Array(Type.String({ description: 'An absolute URL; a path where the name of this server is not known.' }), {
        minItems: 1,
      }),
    ),
  },
  { title: 'Discovery' },
);

/** Section 4.2. */
export const apiRootSchema = Type.Object(
  {
    title: Type.String(),
    description: Type.Optional(Type.String()),
    versions: Type.Array(Type.String(), { minItems: 1 }),
    max_content_length: Type.Integer({ minimum: 1 }),
  },
  { title: 'Api root' },
);

/** Section 5.2. */
export const collectionSchema = Type.Object(
  {
    id: Type.String({ description: 'A UUID; asked by its alias, a collection that is not strict says the alias.' }),
    title: Type.String(),
    description: Type.Optional(Type.String()),
    alias: Type.String({ description: "Usable in the id's place." }),
    can_read: Type.Boolean(),
    can_write: Type.Boolean(),
    media_types: Type.Array(Type.String(), { minItems: 1 }),
  },
  { title: 'Collection' },
);

/** Section 5.1. */
export const collectionsSchema = Type.Object(
  { collections: Type.Optional(Type.Array(collectionSchema, { minItems: 1 })) },
  { title: 'Collections' },
);

const paging = {
  more: Type.Optional(
    Type.Boolean({ description: 'Is there more behind this page? Absent, as all else, from an empty one.' }),
  ),
  next: Type.Optional(Type.String({ minLength: 1, description: 'Where it goes on; absent on the last page.' })),
};

/** STIX 2.1 section 3.2: the required properties of every object. */
const stixObject = Type.Object({ type: Type.String(), id: Type.String() }, { title: 'STIX object' });

/** Section 3.7. */
export const envelopeSchema = Type.Object(
  { ...paging, objects: Type.Optional(Type.Array(stixObject)) },
  { title: 'Envelope' },
);

/** What is posted (section 5.5). It is read by the thread that writes, object by object. */
export const writtenSchema = Type.Unsafe<unknown>({
  description: 'An envelope (3.7); a bundle is taken as well.',
  'x-document': {
    type: 'object',
    title: 'Written objects',
    required: ['objects'],
    properties: { objects: { type: 'array', minItems: 1, items: stixObject } },
  },
});

const statusDetails = Type.Array(
  Type.Object({
    id: Type.String({ description: 'Of the object; its place in the list where it has none.' }),
    version: Type.String({ description: "The object's; the time of the request where it has none." }),
    message: Type.Optional(Type.String({ description: 'Why it was refused, or what was changed in it.' })),
  }),
  { minItems: 1 },
);
const count = Type.Integer({ minimum: 0 });

/** Section 4.3.1. */
export const statusSchema = Type.Object(
  {
    id: Type.String(),
    status: Type.Literal('complete'),
    request_timestamp: timestamp('When it was asked for.'),
    total_count: count,
    success_count: count,
    successes: Type.Optional(statusDetails),
    failure_count: count,
    failures: Type.Optional(statusDetails),
    pending_count: count,
  },
  { title: 'Status' },
);

/** Section 5.7: an answer without content. */
export const deletedSchema = Type.Object({}, { title: 'Deleted' });

/** Section 5.3. */
export const manifestSchema = Type.Object(
  {
    ...paging,
    objects: Type.Optional(
      Type.Array(
        Type.Object({
          id: Type.String(),
          date_added: timestamp('When it was added.'),
          version: Type.String(),
          media_type: Type.String(),
        }),
      ),
    ),
  },
  { title: 'Manifest' },
);

/** Section 5.8. */
export const versionsSchema = Type.Object(
  { ...paging, versions: Type.Optional(Type.Array(Type.String(), { minItems: 1 })) },
  { title: 'Versions' },
);

/** Section 3.2. */
export const dateHeaders = {
  'X-TAXII-Date-Added-First': timestamp('Of the first entry of the page.'),
  'X-TAXII-Date-Added-Last': timestamp('Of the last: the next `added_after`. An empty page repeats what was asked.'),
};

const collection = Type.String({ description: 'Its id, or its alias.' });

export const collectionParams = Type.Object({ collection });
export const objectParams = Type.Object({ collection, object: Type.String({ description: 'A STIX id.' }) });
export const statusParams = Type.Object({ status: Type.String() });

const pageFilters = {
  added_after: timeParameter({
    description:
      'Strictly after, to the microsecond; 0 to 9 digits of a second are read. It ends in Z. Before 1970: everything.',
  }),
  limit: numberParameter({ minimum: 1, description: 'At most so many; capped by the server.' }),
  next: Type.Optional(
    Type.String({
      description:
        'From the page before; filters it carries need not be repeated. One of another collection begins anew.',
    }),
  ),
  'match[spec_version]': textParameter({ description: 'Comma-separated; everything here is 2.1.' }),
};
const versionFilter = {
  'match[version]': Type.Optional(
    Type.String({ description: 'last (the default), first, all, or exact versions; comma-separated.' }),
  ),
};

/** Section 3.4: unknown parameters are ignored. */
export const objectsQuery = Type.Object({
  ...pageFilters,
  ...versionFilter,
  'match[id]': Type.Optional(Type.String({ description: 'STIX ids, comma-separated.' })),
  'match[type]': Type.Optional(Type.String({ description: 'STIX types, comma-separated.' })),
});
export const objectQuery = Type.Object({ ...pageFilters, ...versionFilter });
export const deleteQuery = Type.Object({
  'match[version]': Type.Optional(
    Type.String({ description: 'all (the default), last, first, or exact versions; comma-separated.' }),
  ),
  'match[spec_version]': pageFilters['match[spec_version]'],
});
export const versionsQuery = Type.Object(pageFilters);
