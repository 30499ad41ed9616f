import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import { mayRead, mayWrite } from '../../src/auth/clients.ts';
import type { CollectionDefinition } from '../../src/model/definition.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Json } from '../../src/model/json.ts';
import { observableTypes } from '../../src/model/observable.ts';
import { tlpLevels } from '../../src/model/tlp.ts';
import type { Operation } from '../methods.ts';
import { readBody } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { badParameter } from '../query.ts';
import { restOperation } from './schemas.ts';

const MAX_ROWS = 1000;
const expected = `an indicator, or a list of 1 to ${MAX_ROWS}`;

/** As openapi.json shows it. A row that is otherwise is refused by itself, with its reason. */
const rowSchema = {
  title: 'Contributed',
  type: 'object',
  required: ['ioc'],
  properties: {
    ioc: { type: 'string', description: 'In any spelling, defanged as well.' },
    type: { type: 'string', enum: [...observableTypes], description: 'Told from the value unless given.' },
    name: { type: 'string' },
    confidence: { type: 'integer', minimum: 0, maximum: 100 },
    tlp: { type: 'string', enum: [...tlpLevels] },
    labels: { type: 'array', items: { type: 'string' } },
    description: { type: 'string' },
    valid_until: { type: 'string', format: 'date-time' },
  },
  additionalProperties: false,
};
const bodySchema = Type.Object(
  {
    collection: Type.String({ maxLength: 64, description: 'By alias or id; one that the client may write to.' }),
    iocs: Type.Unsafe<Json>({
      'x-document': { anyOf: [rowSchema, { type: 'array', minItems: 1, maxItems: MAX_ROWS, items: rowSchema }] },
      description: 'One indicator or several.',
    }),
  },
  { additionalProperties: false },
);

const count = Type.Integer({ minimum: 0 });
const answerSchema = Type.Object(
  {
    meta: Type.Object({ total: count, added: count, updated: count, unchanged: count, refused: count }),
    data: Type.Array(
      Type.Object({
        ioc: Type.Optional(Type.String({ description: 'As it was said; absent where it is no text.' })),
        outcome: Type.Unsafe<string>({ type: 'string', enum: ['added', 'updated', 'unchanged', 'refused'] }),
        type: Type.Optional(Type.String()),
        value: Type.Optional(Type.String({ description: 'What it was read as.' })),
        id: Type.Optional(Type.String({ description: 'The STIX object that says it.' })),
        reason: Type.Optional(Type.String({ description: 'Why it was refused.' })),
      }),
      { description: 'In the order of the request.' },
    ),
  },
  { title: 'Contributed rows' },
);

const description = `Each indicator becomes a STIX object of a contributed collection, with an id of its value: said again with other
words it is a later version, with the same words nothing changes. Members that are left out are not kept from the version before. When it
is answered it is kept. TAXII adds any STIX object: \`POST …/collections/NAME/objects/\`.`;

/** `POST /api/v1/iocs`: indicators in one line each, for scripts and people without STIX. */
export function addIocs({ collections, contributions }: RouteContext): Operation {
  const text = {
    operationId: 'addIocs',
    summary: 'Contribute indicators',
    description,
    body: bodySchema,
    reply: { description: 'What became of each.', content: { 'application/json': answerSchema } },
    errors: ['forbidden', 'not-found'] as const,
  };
  return restOperation(text, async (request) => {
    const { collection: name, iocs } = readBody(request, bodySchema);
    const rows = Array.isArray(iocs) ? iocs : [iocs];
    if (rows.length === 0 || rows.length > MAX_ROWS) throw badParameter('iocs', expected);
    const { alias } = findWritable(name, request, collections);
    const outcomes = await contributions.addIocs({ client: request.client.name, collection: alias }, rows);
    const data = outcomes.map(({ outcome, observable, id, message }, i) => ({
      ...saidIn(rows[i] as Json),
      outcome,
      ...(observable ?? {}),
      ...(id === null ? {} : { id }),
      ...(message === null ? {} : { reason: message }),
    }));
    const meta = { total: data.length, added: 0, updated: 0, unchanged: 0, refused: 0 };
    for (const { outcome } of data) meta[outcome] += 1;
    return { meta, data };
  });
}

function saidIn(row: Json): { ioc?: string } {
  const ioc = typeof row === 'object' && row !== null && !Array.isArray(row) ? row['ioc'] : null;
  return typeof ioc === 'string' ? { ioc } : {};
}

function findWritable(
  name: string,
  { client }: FastifyRequest,
  collections: readonly CollectionDefinition[],
): CollectionDefinition {
  const details = { parameter: 'collection' };
  const found = collections.find(({ alias, id }) => alias === name || id === name.toLowerCase());
  if (found !== undefined && mayWrite(client, found)) return found;
  if (found === undefined || !mayRead(client, found))
    throw new GatewayError('not-found', 'There is no such collection.', { details });
  throw new GatewayError('forbidden', 'This client may read the collection, not write to it.', { details });
}
