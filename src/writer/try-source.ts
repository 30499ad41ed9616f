import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Config } from '../config/config.ts';
import { problemsOf } from '../config/problem.ts';
import type { ConfiguredFeed } from '../feeds/feed.ts';
import type { Guess, Meaning } from '../feeds/guess/columns.ts';
import { guessing } from '../feeds/guess.ts';
import { configuredFeeds } from '../feeds/registry.ts';
import { tryFeed } from '../ingest/try.ts';
import { loadConfigText } from '../load.ts';
import { systemClock } from '../model/clock.ts';
import type { ReadProgress, TryReport } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import { canonical } from '../normalise/canonical.ts';
import { typesOfWord } from '../normalise/type-words.ts';
import { memory } from '../store/memory/engine.ts';
import { createDispatchers } from '../upstream/dispatcher.ts';
import { createReadSemaphore } from '../upstream/read-semaphore.ts';
import { openUpstream } from '../upstream/upstream.ts';
import { userAgentOf } from './backend.ts';
import { notPolled } from './polls.ts';

/** A feed that is in no configuration, with the keys that it would have in one. */
export interface TrySource {
  name: string;
  /** Keys of `feeds.NAME`. Secrets are references, as in the file. */
  section: Record<string, unknown>;
}

/** How it was read, and the section to paste. */
export interface SourceReport extends TryReport {
  section: Record<string, unknown>;
}

export interface TrySourceOptions {
  /** Relative paths start here. */
  base: string;
  /** Rows to show. */
  rows: number;
  /** Is given a function that says how far the reading has come. */
  onReading?(progress: () => ReadProgress): void;
  signal: AbortSignal;
}

/**
 * Tries a feed that no store knows: by the guards, caps and limits of every feed, with an account in memory that ends with the
 * process. Throws `config-invalid` for a section that the configuration would not take.
 */
export async function trySource({ name, section }: TrySource, options: TrySourceOptions): Promise<SourceReport> {
  if (section['preset'] ?? section['format']) {
    return { ...(await tryAlone(feedOf(name, section, options.base), options)), section };
  }
  // Any format that reads a source takes its keys.
  const asked = feedOf(name, { format: 'stix', ...section }, options.base);
  const found: { feed: ConfiguredFeed; section: Record<string, unknown>; why: string }[] = [];
  const format = guessing(meaning, (guess) => {
    const guessed = withGuess(section, guess);
    const feed = feedOf(name, guessed, options.base);
    found.push({ feed, section: guessed, why: guess.why });
    return feed;
  });
  const report = await tryAlone({ ...asked, format }, options);
  const last = found.at(-1);
  if (last === undefined) return { ...report, section };
  const { feed, why } = last;
  return { ...report, format: feed.format.name, mode: feed.definition.mode, guessed: why, section: last.section };
}

const meaning: Meaning = {
  isValue: (text) => !('rejection' in canonical(null, text)),
  isType: (word) => typesOfWord(word) !== null,
};

/** Of a MISP feed the address is the folder of its manifest. */
function withGuess(section: Record<string, unknown>, { format, options }: Guess): Record<string, unknown> {
  const url = section['url'];
  const folder = typeof url === 'string' && format === 'misp-feed' ? { url: url.replace(/manifest\.json$/, '') } : {};
  return { format, ...section, ...folder, ...options };
}

/** Tries a feed of a configuration whose store was never made. Throws as a poll of it would. */
export async function tryWithoutStore(
  config: Config,
  name: string,
  options: Omit<TrySourceOptions, 'base'>,
): Promise<TryReport> {
  const feed = configuredFeeds(config).find(({ definition }) => definition.name === name);
  if (feed === undefined) throw notPolled(name, config);
  return tryAlone(feed, { ...options, base: config.base });
}

/** Reads a section as the configuration file is read. */
function feedOf(name: string, section: Record<string, unknown>, base: string): ConfiguredFeed {
  const text = stringify({ feeds: { [name]: section } });
  try {
    const [feed] = configuredFeeds(loadConfigText(text, join(base, 'sluice.yaml'), {}).config);
    if (feed !== undefined) return feed;
  } catch (error) {
    const problems = problemsOf(error);
    if (problems.length === 0) throw error;
    // Its lines are in no file that anybody could look into.
    const lines = problems.map(({ path, message }) => `${path.replace(/^feeds\.[^.]+\.?/, '') || name}: ${message}`);
    throw new GatewayError('config-invalid', lines.join('\n'));
  }
  throw new GatewayError('config-invalid', `${name} is not read as it is given.`);
}

async function tryAlone(feed: ConfiguredFeed, { base, rows, onReading, signal }: TrySourceOptions): Promise<TryReport> {
  const clock = systemClock;
  const writer = await memory.at({}, { base, data: `try ${base}` }).openWriter(clock);
  const dispatchers = createDispatchers(undefined);
  const openPermit = createReadSemaphore(signal);
  const userAgent = userAgentOf(null);
  let read = 0;
  try {
    return await tryFeed(feed, rows, {
      clock,
      writer,
      async openUpstream(feed, signal) {
        const upstream = await openUpstream(feed, {
          ...{ writer, clock, base, userAgent, signal, limits: null, isAnew: true },
          dispatchers: dispatchers.of(feed),
          flights: new Map(),
          permit: openPermit(),
        });
        onReading?.(() => ({ rows: read, requests: upstream.requests(), bytes: upstream.bytes() }));
        return upstream;
      },
      onRows: (rows) => {
        read = rows;
      },
      signal,
    });
  } finally {
    await dispatchers.close();
    await writer.close();
  }
}
