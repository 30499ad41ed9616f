import { GatewayError } from '../../model/error.ts';

/**
 * Servers that don't give as many objects a page as were asked for should cap the page (TAXII 2.1 section 3.4); some refuse
 * it: 413, 400 or 422. Then the next smaller of these sizes is asked for, round ones, as servers have them.
 */
const SIZES = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10];

/**
 * What to ask for after a refusal; null when that can't be about the size. `isTaken`: the server has answered pages of this
 * size before, so that only 413, of larger objects, is about it.
 */
export function smallerLimit(error: unknown, limit: number, isTaken: boolean): number | null {
  const status = statusOf(error);
  if (status !== '413' && (isTaken || (status !== '400' && status !== '422'))) return null;
  return SIZES.find((size) => size < limit) ?? null;
}

/** What is thrown when no size was taken: the last refusal, with the name of the option. */
export function toldLimit(error: unknown, asked: number, last: number): unknown {
  const status = statusOf(error);
  if (!(error instanceof GatewayError) || (status !== '413' && last === asked)) return error;
  const sizes = last === asked ? `${asked} objects` : `${asked} objects, and of fewer down to ${last}`;
  return new GatewayError(error.code, `${error.message} Pages of ${sizes} are refused: see page_size.`, {
    ...(error.details === undefined ? {} : { details: error.details }),
  });
}

function statusOf(error: unknown): string | null {
  return error instanceof GatewayError ? (error.details?.['status'] ?? null) : null;
}
