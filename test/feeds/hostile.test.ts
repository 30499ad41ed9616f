// slow (30 s): hostile documents by the hundred for each format, and lines of a gibibyte
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { json as parsed } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Value } from 'typebox/value';
import type { FeedFormat, FeedResponse } from '../../src/feeds/feed.ts';
import { feedFormats } from '../../src/feeds/registry.ts';
import { poll } from '../../src/ingest/poll.ts';
import type { PollReport } from '../../src/model/control.ts';
import { GatewayError } from '../../src/model/error.ts';
import { unaccountedOf } from '../../src/status/feeds.ts';
import {
  distort,
  distortions,
  type HostileSubject,
  hostileRows,
  hostileSubjects,
} from '../helpers/hostile-documents.ts';
import { feed, journal, openBench } from '../helpers/journals.ts';

/** Whatever an upstream sends, a poll ends in a report, counts every row once, and leaves the gateway as it was. */

interface Polled {
  /** One poll that is given these bytes, in chunks of that size. */
  poll(body: AsyncIterable<Buffer>): Promise<PollReport>;
  /** Rows for which the account of the feed doesn't add up. */
  unaccounted(): Promise<number>;
}

async function openPolls(t: Test, format: FeedFormat, { options, end }: HostileSubject): Promise<Polled> {
  const definition = feed('hostile', { format: format.name, shrinkGuard: null });
  const bench = await openBench(t, [definition], [journal()]);
  const filled = Value.Default(format.options, structuredClone({ ...options, key: undefined })) as object;
  const given = { ...filled, ...('key' in options ? { key: options.key } : {}) };
  format.defaults(given);
  const signal = new AbortController().signal;
  const { clock, writer, journals } = bench;
  return {
    poll(body) {
      let answers = 0;
      const fetch = async (): Promise<FeedResponse> => {
        answers += 1;
        return answerOf(answers === 1 ? body : pieces(Buffer.from(end ?? '')));
      };
      const openUpstream = async () => ({
        fetch,
        files: async () => [{ name: 'hostile', size: 1, fault: null, body }],
        contributed: () => Promise.reject(new Error('no collections here')),
        requests: () => answers,
        secrets: () => [],
        bytes: () => 0,
        isUnchanged: () => false,
        committed: () => undefined,
        freshUntil: () => null,
        validators: () => ({ etag: null, lastModified: null, bodyHash: null }),
      });
      const report = (error: unknown): void => void t.error(error as Error, 'an error that nobody foresaw');
      const upstream = { internal: false, proxy: 'off' as const, refreshOnRead: true };
      const parts = { clock, writer, journals, signal, report, openUpstream };
      return poll({ definition, format, options: given, upstream }, parts, { acceptShrink: true });
    },
    async unaccounted() {
      const { counts } = await writer.rejections('hostile', 0);
      return unaccountedOf(await writer.feedState('hostile'), counts);
    },
  };
}

/** As the client of feeds gives it, without its bound on the size of what is parsed as a whole (test/upstream/fetch.test.ts). */
function answerOf(body: AsyncIterable<Uint8Array>): FeedResponse {
  const json = (): Promise<unknown> =>
    parsed(body).catch((error: unknown) => {
      throw error instanceof SyntaxError ? new GatewayError('upstream-malformed', 'It is no JSON.') : error;
    });
  return { status: 200, headers: {}, body, json };
}

async function* pieces(bytes: Buffer, size = 64 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const subjects = Object.entries(hostileSubjects).flatMap(([name, ways]) =>
  Object.entries(ways).map(([way, subject]) => ({
    title: `${name}, ${way}`,
    format: feedFormats[name as keyof typeof feedFormats] as FeedFormat,
    subject,
  })),
);

/** Errors that say that the upstream is at fault. */
const OF_UPSTREAM = /^upstream-(?:malformed|too-large|failed)$/;

for (const { title, format, subject } of subjects) {
  t.test(`${title}: whatever comes is counted or an error of the upstream, and what is sound is read`, async (t) => {
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const polls = await openPolls(t, format, subject);
    const size = fc.constantFrom(1, 7, 1000, 64 * 1024);
    const place = fc.double({ min: 0, max: 1, noNaN: true });
    const names = fc.constantFrom(...distortions);
    await fc.assert(
      fc.asyncProperty(hostileRows, names, place, size, async (rows, name, at, size) => {
        const texts = rows.map((row, n) => row ?? subject.row(n));
        const bytes = await distort(name, Buffer.from(subject.document(texts)), at);
        // Bytes one by one are for the beginning: of a hundred thousand they only take time.
        const { error } = await polls.poll(pieces(bytes, bytes.length > 5000 ? Math.max(size, 1000) : size));
        if (error !== null && !OF_UPSTREAM.test(error.code)) throw new Error(`${error.code}: ${error.message}`);
        const unaccounted = await polls.unaccounted();
        if (unaccounted !== 0) throw new Error(`${unaccounted} rows are not accounted for`);
      }),
      { numRuns: 150 },
    );
    for (const name of ['none', ...(subject.end === null ? ['gzip', 'zip', 'tar'] : [])]) {
      const sound = subject.document(Array.from({ length: 5 }, (_, n) => subject.row(n)));
      const bytes = await distort(name, Buffer.from(sound), 0);
      const { outcome, accepted, rejected } = await polls.poll(pieces(bytes, 100));
      t.match({ outcome, accepted, rejected }, { outcome: 'whole', accepted: 5, rejected: 0 }, name);
    }
    t.equal(await polls.unaccounted(), 0);
    t.equal(Object.keys(Object.prototype).length, 0);
    t.comment(`longest turn of the event loop: ${Math.round(delay.max / 1e6)} ms`);
  });
}

const files = subjects.filter(({ subject }) => subject.end === null);
const MB = 1024 * 1024;

/** A document whose one row never ends, and the most memory that was held meanwhile, in MB. */
function endless(subject: HostileSubject, size: number): { body: AsyncGenerator<Buffer>; peak(): number } {
  const [head = ''] = subject.document(['@@']).split('@@');
  const filler = Buffer.alloc(MB, 'x');
  let most = 0;
  const body = (async function* () {
    yield Buffer.from(`${head}{"value":"`);
    for (let given = 0; given < size; given += filler.length) {
      const { heapUsed, external } = process.memoryUsage();
      most = Math.max(most, heapUsed + external);
      yield filler;
    }
  })();
  return { body, peak: () => most / MB };
}

for (const { title, format, subject } of [...files, ...subjects.filter(({ format }) => format.name === 'taxii')]) {
  t.test(`${title}: a line of a gibibyte is not held`, async (t) => {
    const polls = await openPolls(t, format, subject);
    const before = process.memoryUsage();
    const { body, peak } = endless(subject, 1024 * MB);
    const { error } = await polls.poll(body);
    t.match(error?.code ?? 'upstream-too-large', OF_UPSTREAM, 'the line alone is refused, or the document');
    const grown = peak() - (before.heapUsed + before.external) / MB;
    t.ok(grown < 256, `${Math.round(grown)} MB more than before`);
    t.equal(await polls.unaccounted(), 0);
  });
}

for (const { title, format, subject } of files) {
  t.test(`${title}: a decompression bomb is refused`, async (t) => {
    const polls = await openPolls(t, format, subject);
    const [head = ''] = subject.document(['@@']).split(/"?@@/);
    const bomb = Buffer.concat([Buffer.from(head), Buffer.alloc(80 * MB, `${' '.repeat(999)}\n`)]);
    const { error, rejected } = await polls.poll(pieces(gzipSync(bomb)));
    t.equal(error?.code ?? `${rejected} file`, format.name === 'misp-feed' ? '1 file' : 'upstream-too-large');
  });
}
