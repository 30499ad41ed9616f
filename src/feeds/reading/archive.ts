/** Files of one archive. */
export const MAX_ENTRIES = 1000;

/** Is it the name of a file with content? Archives made on a Mac hold `__MACOSX/._file` or `._file` beside each file. */
export function isContent(path: string): boolean {
  return !path.endsWith('/') && !path.split('/').some((part) => /^\.+[^.]/.test(part) || part === '__MACOSX');
}
