import type { Observable } from '../model/observable.ts';
import type { Rejection } from '../model/observation.ts';

/** Why a value can't be read. The caller adds the row. */
export type Refusal = Pick<Rejection, 'reason' | 'detail'>;

/** A value in canonical form, and the port that was written behind an address or host. */
export interface Canonical {
  observable: Observable;
  port?: number;
}

export type Parsed = Canonical | Refusal;

export function isRefusal(parsed: Parsed): parsed is Refusal {
  return 'reason' in parsed;
}

export function badValue(detail: string): Refusal {
  return { reason: 'bad-value', detail };
}

/** A port as text behind a value, 1 to 65535. */
export function parsePort(text: string): number | null {
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : null;
}
