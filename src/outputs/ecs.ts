import { type EcsContext, ecsContext, feedOf } from '../ecs/data-stream.ts';
import { writeEcs } from '../ecs/document.ts';
import { indicatorsOf } from './ioc.ts';
import { noOptions } from './options.ts';
import type { Output, OutputCollection } from './output.ts';

/** One per collection, because the plan of the documents is kept with the context (ecs/document.ts). */
const contexts = new WeakMap<OutputCollection, EcsContext>();

/** An ECS document per line, as the sink `elasticsearch` writes into a data stream. */
export const ecs: Output = {
  name: 'ecs',
  title: 'an ECS document per line',
  mediaType: 'application/x-ndjson; charset=utf-8',
  aliases: ['application/ndjson'],
  extension: 'ndjson',
  options: noOptions,
  expressesObjects: false,
  isAppendable: true,
  async *write({ slices, collection }) {
    const context = contextOf(collection);
    for await (const slice of slices) {
      const rows = indicatorsOf(slice);
      if (rows.length > 0) yield rows.map((entry) => `${writeEcs(entry, context)}\n`).join('');
    }
  },
};

function contextOf(collection: OutputCollection): EcsContext {
  let context = contexts.get(collection);
  if (context === undefined) {
    const { feed, alias, title } = collection;
    const own = feed === undefined ? {} : { feed: feedOf({ feed }) };
    context = ecsContext({ target: 'stream', collection: { alias, title }, ...own });
    contexts.set(collection, context);
  }
  return context;
}
