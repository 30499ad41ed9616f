import { hash } from 'node:crypto';
import { inspect } from 'node:util';
import Type from 'typebox';

const REDACTED = '[redacted]';

/** A value that is never printed. Only `reveal()` returns it, and it is called where the value is sent. */
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

/** The schema of a secret: `{env: NAME}` or `{file: PATH}` in the configuration file, a Secret once it was read. */
export function secretSchema(description: string) {
  return Type.Unsafe<Secret>({ 'x-secret': true, description });
}

/** The schema of a private key in PEM. */
export function privateKeySchema(description: string) {
  return Type.Unsafe<Secret>({ 'x-secret': true, 'x-pem': true, description });
}

/** The schema of certificates in PEM, which need not be secret. */
export function certificateSchema(description: string) {
  return Type.Unsafe<Secret>({ 'x-secret': true, 'x-pem': true, 'x-public': true, description });
}
