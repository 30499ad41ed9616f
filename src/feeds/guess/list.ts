import { type Guess, type Meaning, MOST, shareOf } from './columns.ts';
import { guessExitAddresses } from './known.ts';

/** A list in text: rules of an ad blocker, a hosts file, or a value a line. Null for what is none. */
export function guessList(lines: readonly string[], { isValue }: Meaning): Guess | null {
  const isAdblock = (line: string): boolean => line.startsWith('||') || line.startsWith('@@');
  const [first = ''] = lines;
  const rules = lines.filter((line) => !line.startsWith('!'));
  if (/^\[adblock/i.test(first) || shareOf(rules, isAdblock) > MOST) {
    return { format: 'text', options: { layout: 'adblock' }, why: 'rules of an ad blocker' };
  }
  const exits = guessExitAddresses(lines);
  if (exits !== null) return exits;
  const rows = rowsOf(lines);
  const isHosts = (line: string): boolean => /^(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+\S/.test(line);
  if (shareOf(rows, isHosts) > MOST) return { format: 'text', options: { layout: 'hosts' }, why: 'a hosts file' };
  if (shareOf(rows, isValue) > MOST) return { format: 'text', options: {}, why: 'a value a line' };
  return null;
}

/** Values between other words, at the same place of every line. Null where there are none. */
export function guessWords(lines: readonly string[], { isValue }: Meaning): Guess | null {
  const rows = rowsOf(lines);
  const tokens = rows.map((row) => row.split(/\s+/));
  const width = Math.min(16, Math.max(0, ...tokens.map((each) => each.length)));
  for (let i = 0; i < width; i += 1) {
    if (shareOf(tokens, (each) => isValue(each[i] ?? '')) <= MOST) continue;
    return { format: 'text', options: { fields: { value: i + 1 } }, why: `a value in word ${i + 1} of each line` };
  }
  return null;
}

/** Lines without comments. */
function rowsOf(lines: readonly string[]): string[] {
  return lines
    .filter((line) => !/^(?:#|;|\/\/)/.test(line))
    .map((line) => line.replace(/\s(?:#|;|\/\/).*$/, '').trim());
}
