import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** The version of the package, as `--version`, the status and the User-Agent say it. */
export const version: string = JSON.parse(readFileSync(findPackageJSON(import.meta.url) as string, 'utf8')).version;
