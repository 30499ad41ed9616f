import type { Millis } from '../model/clock.ts';

const FIRST_WAIT: Millis = 1000;
const LONGEST_WAIT: Millis = 60_000;

/** How long to wait after this many failures: doubled each time, with jitter between a half and the whole. */
export function backoff(failures: number): Millis {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1)) * (0.5 + Math.random() / 2);
}
