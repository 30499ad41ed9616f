/** Returns a line without its comment; empty text for a line that is nothing else. The line is given without outer spaces. */
export type StripComment = (line: string) => string;

/**
 * A comment begins with one of the prefixes, at the beginning of a line or, where `inline` is set, behind a space: a fragment
 * (`https://bad.example/#top`) is none.
 */
export function commentStripper(prefixes: readonly string[], inline: boolean): StripComment {
  return (line) => {
    for (const prefix of prefixes) if (line.startsWith(prefix)) return '';
    if (!inline) return line;
    let end = line.length;
    for (const prefix of prefixes) {
      for (let at = line.indexOf(prefix, 1); at !== -1 && at < end; at = line.indexOf(prefix, at + 1)) {
        if (isSpace(line.charCodeAt(at - 1))) end = at;
      }
    }
    return end === line.length ? line : line.slice(0, end).trimEnd();
  };
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
