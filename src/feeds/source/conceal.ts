import type { Secret } from '../../model/secret.ts';
import { spellingsOf } from '../../model/secret-spellings.ts';

/** A shorter secret may stand in a list by chance. */
const MIN_LENGTH = 8;
const STAR = 0x2a;

/**
 * A body with stars in place of secrets: an upstream may repeat the request, with its key, in what becomes rows and is served.
 */
export async function* concealIn(
  body: AsyncIterable<Uint8Array>,
  secrets: readonly Secret[],
): AsyncGenerator<Uint8Array> {
  const forms = formsOf(secrets);
  if (forms.length === 0) return yield* body;
  const longest = Math.max(...forms.map(({ length }) => length));
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of body) {
    if (chunk.length === 0) {
      yield chunk;
      continue;
    }
    // A copy: others may read the same bytes.
    const bytes = Buffer.concat([held, chunk]);
    for (const form of forms) hide(bytes, form);
    // The beginning of a secret may stand at the end.
    const end = Math.max(0, bytes.length - longest + 1);
    if (end > 0) yield bytes.subarray(0, end);
    held = bytes.subarray(end);
  }
  if (held.length > 0) yield held;
}

function formsOf(secrets: readonly Secret[]): Buffer[] {
  const texts = secrets.map((secret) => secret.reveal()).filter(({ length }) => length >= MIN_LENGTH);
  const all = texts.flatMap(spellingsOf);
  return [...new Set(all)].map((form) => Buffer.from(form)).sort((one, other) => other.length - one.length);
}

function hide(bytes: Buffer, form: Buffer): void {
  for (let at = bytes.indexOf(form); at !== -1; at = bytes.indexOf(form, at + form.length)) {
    bytes.fill(STAR, at, at + form.length);
  }
}
