import { mkdirSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createStream, type RotatingFileStream } from 'rotating-file-stream';
import Type, { type Static } from 'typebox';
import { ecsContext, feedOf } from '../ecs/data-stream.ts';
import { writeEcs } from '../ecs/document.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import { renderEntry } from '../stix/render.ts';
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
      description: 'Size at which a file is rotated: NAME.ndjson.1 is the one before.',
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
    const files = new Map<string, Lines>();
    const lineOf = lineWriter(context);
    return {
      place: JSON.stringify([resolve(context.base, context.options.path), context.options.format]),
      holds: 'versions',
      atOnce: 1,
      setup: () => [],
      install: async () => 'nothing to do',
      async push(collection, entries, signal) {
        signal.throwIfAborted();
        let lines = files.get(collection.alias);
        if (lines === undefined || lines.isBroken()) {
          lines = await openLines(collection.alias, context);
          files.set(collection.alias, lines);
        }
        await lines.write(entries.map((entry) => `${lineOf(entry, collection)}\n`).join(''));
        return { written: entries.length, unchanged: 0, refused: [], later: [] };
      },
      needsRenewal: null,
      isEmpty: async () => false,
      sweep: async () => 0,
      async close() {
        await Promise.all([...files.values()].map((lines) => lines.close()));
      },
    };
  },
};

function lineWriter({ options, identityId }: SinkContext<Options>) {
  const contexts = new Map<string, ReturnType<typeof ecsContext>>();
  return (entry: IndicatorEntry, collection: SinkCollection): string => {
    if (options.format === 'stix') return renderEntry(entry, { identityId });
    let context = contexts.get(collection.alias);
    if (context === undefined) {
      context = ecsContext({ target: 'stream', collection, feed: feedOf(collection) });
      contexts.set(collection.alias, context);
    }
    return writeEcs(entry, context);
  };
}

interface Lines {
  /** Resolves when the disk has it: a checkpoint must not outlive what it stands for. Throws `sink-unavailable`. */
  write(text: string): Promise<void>;
  isBroken(): boolean;
  close(): Promise<void>;
}

async function openLines(alias: string, { base, options }: SinkContext<Options>): Promise<Lines> {
  const directory = resolve(base, options.path);
  const name = `${alias}.ndjson`;
  let failure: Error | null = null;
  let stream: RotatingFileStream;
  try {
    mkdirSync(directory, { recursive: true });
    await endLine(join(directory, name));
    stream = createStream(name, {
      path: directory,
      size: `${options.max_bytes}B`,
      rotate: options.max_files,
      mode: 0o600,
    });
  } catch (error) {
    throw unavailable(name, error);
  }
  stream.on('error', (error) => {
    failure ??= error;
  });
  return {
    isBroken: () => failure !== null,
    write: (text) =>
      new Promise((done, fail) => {
        if (text === '') return done();
        stream.write(text, (error) => {
          if (error) fail(unavailable(name, error));
          else sync(join(directory, name)).then(done, (cause) => fail(unavailable(name, cause)));
        });
      }),
    close: () => new Promise((done) => stream.end(() => done())),
  };
}

/** A crash may have cut a line in two: what follows must not be glued to it. The whole line comes again. */
async function endLine(path: string): Promise<void> {
  const handle = await openFile(path, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    if (size === 0) return;
    const last = Buffer.alloc(1);
    await handle.read(last, 0, 1, size - 1);
    if (last.toString() !== '\n') await handle.write('\n');
  } finally {
    await handle.close();
  }
}

async function sync(path: string): Promise<void> {
  const handle = await openFile(path, 'a', 0o600);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unavailable(name: string, error: unknown): GatewayError {
  const { code } = error as NodeJS.ErrnoException;
  return new GatewayError('sink-unavailable', `${name} can't be written (${code ?? 'unknown'}).`);
}
