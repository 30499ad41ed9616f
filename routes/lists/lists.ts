import Type from 'typebox';
import { mayRead } from '../../src/auth/clients.ts';
import { outputs } from '../../src/outputs/registry.ts';
import type { Operation } from '../methods.ts';
import type { RouteContext } from '../parts.ts';
import { restOperation } from '../v1/schemas.ts';

const listSchema = Type.Object(
  {
    name: Type.String(),
    address: Type.String({ description: 'Where it is read.' }),
    collection: Type.String(),
    format: Type.String(),
    tlp: Type.String({ description: "The collection's ceiling." }),
  },
  { title: 'List' },
);
const replySchema = Type.Object(
  {
    lists: Type.Array(listSchema, { description: 'Of the configuration, those that the caller may read.' }),
    formats: Type.Array(Type.String(), { description: 'What `/lists/COLLECTION.FORMAT` may end in.' }),
  },
  { title: 'Lists' },
);

/** `GET /lists`: what a caller may read. */
export function getLists({ lists, collections }: RouteContext): Operation {
  const text = {
    operationId: 'getLists',
    summary: 'Lists for other tools',
    reply: { description: 'The lists, and the formats.', content: { 'application/json': replySchema } },
  };
  return restOperation(text, async ({ client }, reply) => {
    const shown = lists.named.flatMap(({ name, list: { collection: alias, format } }) => {
      const collection = collections.find((each) => each.alias === alias);
      if (collection === undefined || !mayRead(client, collection)) return [];
      return [{ name, address: `/lists/${name}`, collection: alias, format, tlp: collection.tlp }];
    });
    const body = { lists: shown, formats: Object.keys(outputs) };
    return reply.header('content-type', 'application/json; charset=utf-8').send(Buffer.from(JSON.stringify(body)));
  });
}
