import Type from 'typebox';
import { mayRead } from '../../src/auth/clients.ts';
import type { ObservableType } from '../../src/model/observable.ts';
import { tlpLevels } from '../../src/model/tlp.ts';
import { explainJson, readableExplanation } from '../../src/status/explain.ts';
import type { Operation } from '../methods.ts';
import type { RouteContext } from '../parts.ts';
import { readQuery } from '../query.ts';
import { askedParameters, nullable, restOperation, timestamp } from './schemas.ts';

const confidence = nullable(Type.Integer({ minimum: 0, maximum: 100 }));
const tlp = Type.Unsafe<string>({ type: 'string', enum: [...tlpLevels] });
const maybeTime = (description: string) => nullable(timestamp(description));

const saidSchema = Type.Object({
  feed: Type.String(),
  publisher: Type.String({ description: "The publisher that the row names, else the feed's title." }),
  confidence,
  tlp: nullable(tlp),
  first_seen: maybeTime('The first sighting that the feed dates.'),
  last_seen: maybeTime('The last one.'),
  valid_until: maybeTime('When it ends, as the feed itself says.'),
  reported_at: timestamp('When the feed first said this, or last changed it.'),
});

const collectionSchema = Type.Object({
  collection: Type.String(),
  state: Type.Unsafe<string>({ type: 'string', enum: ['live', 'withdrawn', 'never'] }),
  reason: nullable(Type.String({ description: 'Why it is not live, in a word.' })),
  why: Type.String({ description: 'The same for a person, with what would change it.' }),
  served_as: nullable(
    Type.Object({
      confidence,
      publishers: Type.Integer({ minimum: 0, description: 'Independent ones.' }),
      tlp,
      valid_until: maybeTime('When it ends.'),
      score: nullable(Type.Integer({ description: 'What decay has left of the confidence.' })),
      inputs: Type.Array(
        Type.Object({
          feed: Type.String(),
          publisher: Type.String(),
          said: confidence,
          trust: Type.Number({ minimum: 0, maximum: 1, description: 'How far the feed is trusted.' }),
          confidence,
          standing: Type.String({ description: '`independent`, `same publisher`, `copy` or `not trusted`.' }),
          added: Type.Integer({ description: 'Its part in the confidence.' }),
        }),
        { description: 'Sources that count, surest first.' },
      ),
    }),
  ),
  rule: nullable(
    Type.Object(
      {
        mode: Type.String({ description: '`drop`, `tag` or `lower`.' }),
        rule: Type.String(),
        entry: Type.String({ description: 'What is listed and matched.' }),
        reason: Type.String(),
        admit: Type.String({ description: 'What to write into the configuration to have it served.' }),
      },
      { description: 'The rule that names the value.' },
    ),
  ),
  history: Type.Array(
    Type.Object({
      id: Type.String({ description: 'Of the STIX object.' }),
      since: timestamp('When readers were first told of it.'),
      at: timestamp('When they were told of its last version.'),
      withdrawn: nullable(Type.String({ description: 'Why it left; null: it stands.' })),
    }),
    { description: 'What readers were told, oldest first, for as long as `keep` says.' },
  ),
});

/** Of a reader's explanation and of an operator's, which has members besides. */
export const explanationSchema = Type.Object(
  {
    asked: Type.String(),
    unreadable: nullable(Type.String({ description: "Why it can't be read as a value; null: it can." })),
    values: Type.Array(
      Type.Object({
        type: Type.String(),
        value: Type.String(),
        said: Type.Array(saidSchema, { description: 'What each feed says now. For operators; empty for clients.' }),
        analysts: Type.Array(
          Type.Object({ pool: Type.String(), kind: Type.String(), at: timestamp('When it was given.') }),
          {
            description: 'What analysts said of it. For operators; empty for clients.',
          },
        ),
        collections: Type.Array(collectionSchema),
        within: Type.Array(Type.Object({ value: Type.String(), collections: Type.Array(Type.String()) }), {
          description: 'Live networks that hold the address.',
        }),
      }),
    ),
    refused: Type.Array(Type.Object({ feed: Type.String(), reason: Type.String(), detail: Type.String() }), {
      description: 'Refused rows of feeds that name it. For operators; empty for clients.',
    }),
  },
  { title: 'Explanation' },
);

const querySchema = Type.Object(askedParameters, { additionalProperties: false });

/** `GET /api/v1/explain`: why a value is, or was, in collections that the caller may read. */
export function explainIoc(context: RouteContext): Operation {
  return restOperation(
    {
      operationId: 'explainIoc',
      summary: 'Why is a value served, or no more?',
      description: 'A value that never was in a collection that the caller may read is answered like an unknown one.',
      query: querySchema,
      reply: { description: 'What is known of the value.', content: { 'application/json': explanationSchema } },
    },
    async (request) => {
      const { ioc, type = null } = readQuery(request) as { ioc: string; type?: ObservableType };
      const readable = context.collections.filter((collection) => mayRead(request.client, collection));
      const aliases = new Set(readable.map(({ alias }) => alias));
      const report = await context.control.explain(ioc, type);
      return explainJson(readableExplanation(report, (alias) => aliases.has(alias)));
    },
  );
}
