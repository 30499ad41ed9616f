import Type from 'typebox';
import type { Millis } from './clock.ts';

const millisecondsPer = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const unitLengths: ReadonlyMap<string, Millis> = new Map(Object.entries(millisecondsPer));

/** Longest duration that is read: ten years. */
export const MAX_DURATION = 3650 * millisecondsPer.d;

/** `500ms`, `90s`, `10m`, `1h`, `30d`, `2w` to milliseconds; undefined for anything else, and for more than ten years. */
export function parseDuration(text: string): Millis | undefined {
  const match = /^(\d{1,12})(ms|s|m|h|d|w)$/.exec(text);
  if (match === null) return undefined;
  const [, count, unit] = match;
  const milliseconds = Number(count) * (unitLengths.get(unit ?? '') ?? 0);
  return milliseconds <= MAX_DURATION ? milliseconds : undefined;
}

/** The shortest text that parseDuration reads back to the same whole number of milliseconds. Weeks are written in days. */
export function formatDuration(milliseconds: Millis): string {
  if (milliseconds === 0) return '0s';
  const unit = (['d', 'h', 'm', 's'] as const).find((unit) => milliseconds % millisecondsPer[unit] === 0) ?? 'ms';
  return `${milliseconds / millisecondsPer[unit]}${unit}`;
}

/**
 * The schema of a duration: text such as `10m` in the configuration file, whole milliseconds once it was read. `default`, `minimum`
 * and `maximum` are texts as well.
 */
export function durationSchema(options: {
  default?: string;
  minimum?: string;
  maximum?: string;
  description?: string;
}) {
  const { minimum = '0s', maximum = '3650d', ...annotations } = options;
  return Type.Unsafe<Millis>({
    type: 'integer',
    'x-duration': true,
    minimum: bound(minimum),
    maximum: bound(maximum),
    ...annotations,
  });
}

function bound(text: string): Millis {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) throw new TypeError(`durationSchema: no duration: ${text}`);
  return milliseconds;
}
