import { GatewayError } from '../../model/error.ts';

/**
 * A server that does not give as many objects as were asked for should cap the page (TAXII 2.1 section 3.4). Some refuse it with
 * 413, 400 or 422: then the next smaller of these sizes is tried.
 */
const SIZES = [5000, 2000, 1000, 500, 200, 100, 50, 20, 10];

/**
 * The size to try after a refusal; null when the refusal can't be about the size. `isAccepted`: the server has answered pages of
 * this size before, so only 413 (larger objects) can be about it.
 */
export function smallerLimit(error: unknown, limit: number, isAccepted: boolean): number | null {
  const status = statusOf(error);
  if (status !== '413' && (isAccepted || (status !== '400' && status !== '422'))) return null;
  return SIZES.find((size) => size < limit) ?? null;
}

/** The error to throw when no size was accepted: the last refusal, with a hint at the option. */
export function explainLimit(error: unknown, asked: number, last: number): unknown {
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
