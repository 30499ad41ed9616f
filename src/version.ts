import { readFileSync } from 'node:fs';

/** The version of the package, as `--version`, the status and the User-Agent say it. */
export const version: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;
