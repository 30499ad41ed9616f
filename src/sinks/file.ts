import { resolve } from 'node:path';
import Type, { type Static } from 'typebox';
import { ecsContext, feedOf } from '../ecs/data-stream.ts';
import { writeEcs } from '../ecs/document.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import { renderEntry } from '../stix/render.ts';
import { appendLines } from './file/append.ts';
import type { SinkCollection, SinkContext, SinkKind } from './sink.ts';

const optionsSchema = Type.Object(
  {
    path: Type.String({
      minLength: 1,
      maxLength: 4096,
      pattern: '^\\P{Cc}*$',
      description: 'A directory; each collection writes NAME.ndjson in it. Made when it is not there.',
    }),
    format: Type.Enum(['stix', 'ecs'], {
      default: 'stix',
      description:
        'stix: one STIX object a line, as the log-file mode of Elastic’s integration reads them. ecs: documents.',
    }),
    max_bytes: Type.Integer({
      default: 100_000_000,
      minimum: 10_000,
      maximum: 100_000_000_000,
      description: 'A file that would grow beyond it is rotated: NAME.ndjson.1 is the one before.',
    }),
    max_files: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: 1000,
      description: 'Rotated files kept per collection. What leaves unread is lost to its reader.',
    }),
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

/** Lines in files, for readers that no network reaches. A line may come twice after a crash; it never misses. */
export const file: SinkKind<Options> = {
  name: 'file',
  title: 'NDJSON files with rotation: STIX objects or ECS documents',
  options: optionsSchema,
  check: () => undefined,
  open(context) {
    const { path, format, max_bytes: maxBytes, max_files: maxFiles } = context.options;
    const directory = resolve(context.base, path);
    const lineOf = lineWriter(context);
    return {
      targetId: JSON.stringify([directory, format]),
      holds: 'versions',
      atOnce: 1,
      setup: () => [],
      install: async () => 'nothing to do',
      async push(collection, entries, signal) {
        signal.throwIfAborted();
        const name = `${collection.alias}.ndjson`;
        const text = entries.map((entry) => `${lineOf(entry, collection)}\n`).join('');
        await appendLines({ directory, name, maxBytes, maxFiles }, text).catch((error: unknown) => {
          throw unavailable(name, error);
        });
        return { written: entries.length, unchanged: 0, refused: [], later: [] };
      },
      needsRenewal: null,
      isEmpty: async () => false,
      sweep: async () => 0,
      close: async () => undefined,
    };
  },
};

function lineWriter({ options, identityId }: SinkContext<Options>) {
  const contexts = new Map<string, ReturnType<typeof ecsContext>>();
  return (entry: IndicatorEntry, collection: SinkCollection): string => {
    if (options.format === 'stix') return renderEntry(entry, { identityId, tlpVersion: collection.tlpVersion });
    let context = contexts.get(collection.alias);
    if (context === undefined) {
      context = ecsContext({ target: 'stream', collection, feed: feedOf(collection) });
      contexts.set(collection.alias, context);
    }
    return writeEcs(entry, context);
  };
}

function unavailable(name: string, error: unknown): GatewayError {
  const { code } = error as NodeJS.ErrnoException;
  return new GatewayError('sink-unavailable', `${name} can't be written (${code ?? 'unknown'}).`);
}
