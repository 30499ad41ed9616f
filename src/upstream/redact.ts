import { GatewayError } from '../model/error.ts';
import type { Secret } from '../model/secret.ts';

/** Replaces the key in a text of an upstream, in upper and lower case, before it is shown or stored. */
export function redact(text: string, key: Secret | null): string {
  const secret = key?.reveal() ?? '';
  if (secret === '') return text;
  return text.replaceAll(new RegExp(secret.replaceAll(/[^A-Za-z0-9]/g, '\\$&'), 'gi'), '[redacted]');
}

/** Redacts the texts of a GatewayError. Returns the same error when the key is not in it. */
export function withoutKey<E>(error: E, key: Secret | null): E | GatewayError {
  if (!(error instanceof GatewayError)) return error;
  const message = redact(error.message, key);
  const excerpt = error.excerpt === undefined ? undefined : redact(error.excerpt, key);
  if (message === error.message && excerpt === error.excerpt) return error;
  const { code, retryAfter, details } = error;
  return new GatewayError(code, message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(details === undefined ? {} : { details }),
    ...(excerpt === undefined ? {} : { excerpt }),
  });
}
