import { GatewayError } from '../model/error.ts';

/** Returns the error for a caller that broke the contract. */
export function misuse(message: string): GatewayError {
  return new GatewayError('internal', `Store: ${message}`);
}

/** Returns the limit. Throws `internal` for anything but an integer of at least `least`. */
export function requireLimit(limit: number, least = 1): number {
  if (!Number.isSafeInteger(limit) || limit < least) throw misuse(`a limit of ${limit} makes no sense`);
  return limit;
}
