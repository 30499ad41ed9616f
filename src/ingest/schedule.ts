import type { ConfiguredFeed } from '../feeds/feed.ts';
import { type Clock, MICROS_PER_MS } from '../model/clock.ts';
import type { PollReport } from '../model/control.ts';
import type { Reader } from '../store/store.ts';

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
  const { nextPollAt, attemptedAt } = await store.feedState(definition.name);
  const now = clock.now();
  const due = nextPollAt ?? now;
  // More is left of a wait than was decided only after the clock was set back: that must not silence a feed.
  const decided = due - Math.min(attemptedAt ?? now, due);
  const isSetBack = due - now > decided;
  const wait = isSetBack ? decided : due - now;
  if (wait > 0) await clock.sleep(Math.ceil(wait / MICROS_PER_MS), signal);
  const { nextPollAt: still } = await store.feedState(definition.name);
  // Somebody may have polled it meanwhile, which moved the next time.
  if (still !== null && still > clock.now() && !(isSetBack && still === nextPollAt)) return;
  await poll(definition.name);
  const { nextPollAt: next } = await store.feedState(definition.name);
  // Nothing of it could be kept, as on a full disk: a feed must not be asked again and again for that.
  if (next === still) await clock.sleep(TICK_MS, signal);
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
