import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { dataDirectoryOf, type LoadedConfig, loadConfig } from './config/load.ts';
import { MAX_CONFIG_BYTES } from './config/yaml.ts';
import { presets } from './feeds/presets.ts';
import { feedFormats } from './feeds/registry.ts';
import { GatewayError, systemErrorCode } from './model/error.ts';
import { outputs } from './outputs/registry.ts';
import { sinkKinds } from './sinks/registry.ts';
import { collectionIdOf } from './stix/id.ts';
import { servedEngines } from './store/registry.ts';

/** What the command line says over the file. */
export interface Overrides {
  data?: string | undefined;
  listen?: string | undefined;
}

export interface LoadedFile extends LoadedConfig {
  path: string;
  /** As it was read: the writing thread goes by the same text, whatever became of the file since. */
  text: string;
  overrides: Overrides;
}

/** Reads a configuration file with all formats and engines there are. Throws `config-invalid`. */
export async function loadConfigFile(path: string, overrides: Overrides = {}): Promise<LoadedFile> {
  return loadConfigText(await readText(path), path, overrides);
}

/** The same for a file that was read already. */
export function loadConfigText(text: string, path: string, overrides: Overrides): LoadedFile {
  const loaded = loadConfig(text, {
    path,
    env: process.env,
    overrides,
    formats: feedFormats,
    presets,
    stores: servedEngines,
    sinks: sinkKinds,
    outputs,
    collectionIdOf,
  });
  return { ...loaded, path: resolve(path), text, overrides };
}

/** Where the file says that the store is; null when it doesn't say so readably. Throws `config-invalid` without a file. */
export async function findDataDirectory(path: string, { data }: Overrides): Promise<string | null> {
  return dataDirectoryOf(await readText(path), path, data);
}

async function readText(path: string): Promise<string> {
  // A byte more than it may hold is enough to see that it is too long, whatever the path is.
  return readAll(createReadStream(resolve(path), { end: MAX_CONFIG_BYTES })).catch((cause: unknown) => {
    const code = systemErrorCode(cause);
    throw new GatewayError('config-invalid', `The configuration file ${path} can't be read (${code}).`, { cause });
  });
}
