import { GatewayError } from '../model/error.ts';
import type { Secret } from '../model/secret.ts';
import { spellingsOf } from '../model/secret-spellings.ts';

const REDACTED = '[redacted]';
/** So many characters of a secret at the end of a text, where it was cut, are replaced too. */
const MIN_CUT = 8;

/**
 * Replaces secrets in a text of an upstream before it is shown or stored: in upper and lower case, as addresses, forms, JSON and HTML
 * write them, in Base64, and cut at the end of the text.
 */
export function redact(text: string, secrets: Iterable<Secret>): string {
  let safe = text;
  const all = [...secrets].map(patternOf).filter((spellings) => spellings !== null);
  // A secret that is part of another must not be replaced in its middle.
  all.sort((one, other) => other.length - one.length);
  for (const spellings of all) {
    safe = withoutCut(safe.replaceAll(spellings.pattern, REDACTED), spellings.forms);
  }
  return safe;
}

/** A secret that an upstream cut, as it cuts the text around it, is a part of it that opens with its first characters. */
function withoutCut(text: string, forms: readonly string[]): string {
  const lower = text.toLowerCase();
  for (const form of forms) {
    for (let length = form.length - 1; length >= MIN_CUT; length -= 1) {
      if (lower.endsWith(form.slice(0, length))) return `${text.slice(0, -length)}${REDACTED}`;
    }
  }
  return text;
}

interface Spellings {
  length: number;
  pattern: RegExp;
  /** In lower case. */
  forms: string[];
}

const known = new WeakMap<Secret, Spellings | null>();

/** Null for an empty secret. */
function patternOf(secret: Secret): Spellings | null {
  const before = known.get(secret);
  if (before !== undefined) return before;
  const plain = secret.reveal();
  const forms = spellingsOf(plain);
  const pattern = new RegExp(forms.map((form) => form.replaceAll(/[^A-Za-z0-9]/g, '\\$&')).join('|'), 'gi');
  const spellings =
    plain === '' ? null : { length: plain.length, pattern, forms: forms.map((form) => form.toLowerCase()) };
  known.set(secret, spellings);
  return spellings;
}

/** Redacts the texts of a GatewayError. Returns the same error when no secret is in it. */
export function withoutSecrets<E>(error: E, secrets: Iterable<Secret>): E | GatewayError {
  if (!(error instanceof GatewayError)) return error;
  const all = [...secrets];
  const message = redact(error.message, all);
  const excerpt = error.excerpt === undefined ? undefined : redact(error.excerpt, all);
  if (message === error.message && excerpt === error.excerpt) return error;
  const { code, retryAfter, details } = error;
  return new GatewayError(code, message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(details === undefined ? {} : { details }),
    ...(excerpt === undefined ? {} : { excerpt }),
  });
}
