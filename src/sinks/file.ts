import { resolve } from 'node:path';
import Type, { type Static, type TSchema } from 'typebox';
import type { Entry } from '../model/entry.ts';
import { GatewayError, systemErrorCode } from '../model/error.ts';
import { optionsOf, readOptions } from '../outputs/options.ts';
import type { Output } from '../outputs/output.ts';
import { outputs } from '../outputs/registry.ts';
import { fits, selectAll, within } from '../outputs/selection.ts';
import { newTally } from '../outputs/tally.ts';
import { appendLines } from './file/append.ts';
import type { SinkKind } from './sink.ts';

/** How delivery reads entries. */
const arrangement = { order: 'journal', prefixes: 'stated' } as const;

/** Formats of files, by their name in the configuration, where `ndjson` is called `stix`. */
const formats = new Map<string, Output>();
for (const output of Object.values<Output>(outputs)) {
  const isFit = output.isAppendable && fits(output, readOptions(output, {}), arrangement);
  if (isFit) formats.set(output.name === 'ndjson' ? 'stix' : output.name, output);
}

/** The options of all formats. `check` refuses those of another format. */
const formatOptions: Record<string, TSchema> = Object.fromEntries(
  Object.entries(optionsOf([...formats.values()])).map(([name, schema]) => [
    name,
    Type.Optional({ ...schema, default: undefined }),
  ]),
);

const optionsSchema = Type.Object(
  {
    path: Type.String({
      minLength: 1,
      maxLength: 4096,
      pattern: '^\\P{Cc}*$',
      description:
        'A directory, made when it is not there. Each collection writes one file: its name and the format’s extension.',
    }),
    format: Type.Enum([...formats.keys()], {
      default: 'stix',
      description: `${[...formats].map(([name, { title }]) => `${name}: ${title}`).join('; ')}.`,
    }),
    max_bytes: Type.Integer({
      default: 100_000_000,
      minimum: 10_000,
      maximum: 100_000_000_000,
      description: 'A file that would grow beyond it is rotated: its name with `.1` behind it is the one before.',
    }),
    max_files: Type.Integer({
      default: 10,
      minimum: 1,
      maximum: 1000,
      description: 'Rotated files kept per collection. What leaves unread is lost to its reader.',
    }),
    ...formatOptions,
  },
  { additionalProperties: false },
);
type Options = Static<typeof optionsSchema>;

/** Writes documents to files, for readers without a network. After a crash an entry may be there twice; none is missing. */
export const file: SinkKind<Options> = {
  name: 'file',
  title: 'NDJSON files with rotation: STIX objects or ECS documents',
  options: optionsSchema,
  check: (options) => void formatOf(options),
  open({ options, base, identityId, clock }) {
    const { path, max_bytes: maxBytes, max_files: maxFiles } = options;
    const { output, own } = formatOf(options);
    const directory = resolve(base, path);
    const selection = within({ ...arrangement, types: null, maximum: null }, output, own);
    return {
      targetId: JSON.stringify([directory, options.format, ...(Object.keys(own).length === 0 ? [] : [own])]),
      holds: 'versions',
      concurrency: 1,
      setup: () => [],
      install: async () => 'nothing to do',
      async push(collection, entries, signal) {
        signal.throwIfAborted();
        const name = `${collection.alias}.${output.extension}`;
        let written = 0;
        const counted = async function* (): AsyncGenerator<readonly Entry[]> {
          for await (const slice of selectAll(once(entries), selection)) {
            written += slice.length;
            yield slice;
          }
        };
        const request = {
          collection,
          selection,
          options: own,
          slices: counted(),
          at: clock.now(),
          identityId,
          about: {},
          tally: newTally(),
        };
        let text = '';
        for await (const piece of output.write(request)) text += piece;
        await appendLines({ directory, name, maxBytes, maxFiles }, text).catch((error: unknown) => {
          throw unavailable(name, error);
        });
        // Entries that the format can't express are not written.
        return { written, unchanged: entries.length - written, refused: [], later: [] };
      },
      needsRenewal: null,
      isEmpty: async () => false,
      sweep: async () => 0,
      close: async () => undefined,
    };
  },
};

/** The format and its own options. Throws `bad-request` for an option of another format. */
function formatOf({ path: _, format, max_bytes: _b, max_files: _f, ...given }: Options): {
  output: Output;
  own: object;
} {
  const output = formats.get(format);
  if (output === undefined) throw new GatewayError('bad-request', `There is no format ${format}.`);
  return { output, own: readOptions(output, given) };
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

function unavailable(name: string, error: unknown): GatewayError {
  return new GatewayError('sink-unavailable', `${name} can't be written (${systemErrorCode(error) ?? 'unknown'}).`);
}
