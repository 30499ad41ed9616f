import { type Clock, MICROS_PER_MS } from '../model/clock.ts';
import type { PollReport } from '../model/control.ts';
import type { Reader } from '../store/store.ts';
import type { ConfiguredFeed } from './poll.ts';

const TICK_MS = 60_000;

export interface ScheduleParts {
  clock: Clock;
  store: Pick<Reader, 'feedState'>;
  feeds: ConfiguredFeed[];
  poll(feed: string): Promise<PollReport>;
  tick(): Promise<void>;
  /** Never throws. */
  report(error: unknown): void;
  signal: AbortSignal;
}

/** Polls each feed when its stored time has come, and ticks every minute, until aborted. A restart never polls early. */
export async function runSchedule(parts: ScheduleParts): Promise<void> {
  const loops = parts.feeds.map((feed) => until(parts, () => pollWhenDue(feed, parts)));
  loops.push(
    until(parts, async () => {
      await parts.tick();
      await parts.clock.sleep(TICK_MS, parts.signal);
    }),
  );
  await Promise.all(loops);
}

async function pollWhenDue(
  { definition }: ConfiguredFeed,
  { clock, store, poll, signal }: ScheduleParts,
): Promise<void> {
  const { nextPollAt } = await store.feedState(definition.name);
  const wait = ((nextPollAt ?? 0) - clock.now()) / MICROS_PER_MS;
  // A clock set back must not silence a feed for longer than its own interval.
  if (wait > 0) await clock.sleep(Math.min(wait, Math.max(definition.every, TICK_MS)), signal);
  const due = (await store.feedState(definition.name)).nextPollAt;
  if (due === null || due <= clock.now() || wait > definition.every) await poll(definition.name);
}

async function until({ signal, report, clock }: ScheduleParts, step: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await step();
    } catch (error) {
      if (signal.aborted) return;
      report(error);
      await clock.sleep(TICK_MS, signal).catch(() => undefined);
    }
  }
}
