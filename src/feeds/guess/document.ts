import { GatewayError } from '../../model/error.ts';
import type { Guess, Meaning } from './columns.ts';
import { guessJson } from './json.ts';
import { guessList, guessWords } from './list.ts';
import { guessTable } from './table.ts';

/**
 * Guesses how a document is read, by its beginning and the media type that was said of it. `isWhole`: the beginning is all of it.
 * Throws `upstream-malformed` where nothing in it looks like indicators.
 */
export function guessDocument(start: string, isWhole: boolean, mediaType: string, meaning: Meaning): Guess {
  if (/^application\/taxii\+json/i.test(mediaType)) {
    return { format: 'taxii', options: {}, why: 'a TAXII server answered' };
  }
  const text = start.trim();
  if (text === '') throw new GatewayError('upstream-malformed', 'It is empty: there is nothing to guess from.');
  const json = /^[[{]/.test(text) ? guessJson(text, meaning) : null;
  const lines = json === null ? linesOf(text, isWhole) : [];
  const guess = json ?? guessList(lines, meaning) ?? guessTable(lines, meaning) ?? guessWords(lines, meaning);
  if (guess !== null) return guess;
  const excerpt = text.slice(0, 80).replace(/[\p{C}\s]+/gu, ' ');
  throw new GatewayError(
    'upstream-malformed',
    'Nothing in it could be read as indicators; say with --format how it is read.',
    {
      excerpt,
    },
  );
}

const MAX_LINES = 1000;

/** Lines that are not empty. The last of a text that was cut may be half of one. */
function linesOf(text: string, isWhole: boolean): string[] {
  const lines = text.split(/\r\n|\r|\n/);
  const whole = isWhole || lines.length === 1 ? lines : lines.slice(0, -1);
  return whole
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, MAX_LINES);
}
