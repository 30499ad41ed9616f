import Type from 'typebox';
import { askedSchema } from '../../src/control/verbs.ts';
import { type Redistribution, redistributions } from '../../src/model/definition.ts';
import { observableTypes } from '../../src/model/observable.ts';
import { tlpLevels } from '../../src/model/tlp.ts';
import type { Handler, Operation } from '../methods.ts';
import { type OperationText, operation, wordParameter } from '../operation.ts';
import { problemForm } from '../problem.ts';

/** Schemas of REST answers. All of them allow further members. */

const form = problemForm('REST', 'clients');

export function restOperation(text: OperationText, handler: Handler): Operation {
  return operation(text, form, handler);
}

/** The parameters of a question about one value. */
export const askedParameters = {
  ioc: { ...askedSchema, description: 'In any spelling, defanged as well.' },
  type: wordParameter(observableTypes, { description: 'Told from the value unless given.' }),
};

export const timestamp = (description: string) => Type.String({ format: 'date-time', description });
export const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

export const claimSchema = Type.Object(
  {
    feed: Type.String({ description: 'The feed, as it is called here.' }),
    feed_name: Type.String({ description: 'The publisher inside the feed, else its title.' }),
    id: Type.Optional(Type.String()),
    confidence: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
    category: Type.Optional(Type.String()),
    origin: Type.Optional(Type.String()),
    article_id: Type.Optional(Type.String()),
    article_title: Type.Optional(Type.String()),
    article_url: Type.Optional(Type.String()),
    url_original: Type.Optional(
      Type.String({ description: 'The URL as this source wrote it, where its canonical form is another.' }),
    ),
    port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'The port at the address or host.' })),
    protocol: Type.Optional(Type.String({ description: 'In lower case, such as `tcp`.' })),
    malware_family: Type.Optional(Type.String({ description: 'The malware that it belongs to.' })),
    first_seen: Type.Optional(Type.String()),
    last_seen: Type.Optional(Type.String()),
    techniques: Type.Optional(Type.Array(Type.String())),
    network: Type.Optional(
      Type.String({ description: 'This source said the network, of which the indicator is an address.' }),
    ),
  },
  { title: 'Claim', description: 'What one feed said.' },
);

export const iocMembers = {
  id: Type.String({ format: 'uuid', description: 'The UUID of the STIX object.' }),
  type: Type.Unsafe<string>({ type: 'string', enum: [...observableTypes] }),
  value: Type.String(),
  confidence: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['high', 'medium', 'low', 'none'] })),
  confidence_score: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
  first_seen: Type.Optional(timestamp('By any source.')),
  last_seen: Type.Optional(timestamp('By any source.')),
  updated_at: timestamp('When it was added, or last changed, here.'),
  valid_until: Type.Optional(timestamp('When it stops to count.')),
  tlp: Type.Unsafe<string>({ type: 'string', enum: [...tlpLevels] }),
  source: claimSchema,
  sources: Type.Array(claimSchema, { description: 'All claims, strongest first.' }),
  context: Type.Optional(Type.String()),
  tags: Type.Array(Type.String()),
  mitre_techniques: Type.Array(Type.String()),
};

export const pageHeaders = {
  Link: Type.String({ description: '`rel="next"`: the next page, when there is one (RFC 8288).' }),
  'X-Left-Out': Type.String({
    description: 'Indicators of this page that the format can’t express; absent where there are none.',
  }),
  'X-TLP': Type.String({ description: "The collection's ceiling: text and tables can't carry markings." }),
};

export const heldBackSchema = Type.Object(
  {
    read: Type.Integer({ minimum: 0, description: 'Rows that the pull brought.' }),
    refused: Type.Integer({ minimum: 0, description: 'Of these, rows that could not be used.' }),
    withdrawn: Type.Integer({
      minimum: 0,
      description: 'Rows that it would have withdrawn; they are kept and served.',
    }),
  },
  { description: 'Of a pull that was read and not believed. null: it failed in another way.' },
);

export const CHANGED_AT = 'When its list last changed, as far as pulls show it.';
export const stalledSchema = nullable(
  Type.String({
    description:
      'Says that its list has not changed for longer than promised; what it holds is served. null: it has, or nothing was promised.',
  }),
);

/** What the publisher of a feed asks of those who have its data. */
export const termsSchemas = {
  attribution: nullable(Type.String({ description: 'The credit that its publisher asks for.' })),
  terms: nullable(Type.String({ description: 'Its terms of use in one line, or where they stand.' })),
  redistribution: Type.Unsafe<Redistribution>({
    type: 'string',
    enum: [...redistributions],
    description: 'May its data be passed on outside of the organisation that reads it? non-commercial: for no money.',
  }),
};
