import { hash } from 'node:crypto';
import { inspect } from 'node:util';
import Type from 'typebox';

const REDACTED = '[redacted]';

/** A value that never prints: only `reveal()` gives it, at the place where it is sent. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  /** Eight hex digits that tell two keys apart without giving either away. */
  fingerprint(): string {
    return hash('sha256', this.#value, 'hex').slice(0, 8);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

/**
 * How a schema says "a secret stands here". The configuration file holds `{env: NAME}` or `{file: PATH}` there; what the
 * schema's owner is handed is a Secret.
 */
export function secretSchema(description: string) {
  return Type.Unsafe<Secret>({ 'x-secret': true, description });
}

/** The same for a private key in PEM. */
export function privateKeySchema(description: string) {
  return Type.Unsafe<Secret>({ 'x-secret': true, 'x-pem': true, description });
}

/** The same for certificates in PEM, which everybody may know. */
export function certificateSchema(description: string) {
  return Type.Unsafe<Secret>({ 'x-secret': true, 'x-pem': true, 'x-public': true, description });
}
