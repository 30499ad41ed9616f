import type { ConfiguredFeed } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_MS, type Millis } from '../model/clock.ts';

export interface FollowParts {
  clock: Clock;
  /** Polls a feed after a poll of it that runs: that may have read the collection before it changed. */
  pollAnew(feed: string): Promise<unknown>;
  onError(error: unknown): void;
  signal: AbortSignal;
}

/** From a change to the poll, which takes in all that changed by then. */
const SOON: Millis = 1000;
/** The wait is at least so many times the length of the last poll: who adds without a pause must not keep the thread busy. */
const REST = 4;

/** Returns what has the feeds of a contributed collection polled soon after it changed. */
export function followContributions(
  feeds: readonly ConfiguredFeed[],
  parts: FollowParts,
): (collection: string) => void {
  const { clock, pollAnew, onError, signal } = parts;
  const waiting = new Set<string>();
  const lengths = new Map<string, Millis>();
  const pollSoon = async (feed: string): Promise<void> => {
    await clock.sleep(Math.max(SOON, REST * (lengths.get(feed) ?? 0)), signal);
    // What changes from here on waits for the next.
    waiting.delete(feed);
    const startedAt = clock.now();
    await pollAnew(feed);
    lengths.set(feed, (clock.now() - startedAt) / MICROS_PER_MS);
  };
  return (collection) => {
    for (const { definition, format, options } of feeds) {
      if (format.contributedBy?.(options) !== collection || waiting.has(definition.name)) continue;
      waiting.add(definition.name);
      pollSoon(definition.name).catch((error: unknown) => {
        waiting.delete(definition.name);
        if (!signal.aborted) onError(error);
      });
    }
  };
}
