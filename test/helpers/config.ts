import { join } from 'node:path';
import { type LoadedConfig, loadConfig } from '../../src/config/load.ts';
import { presets } from '../../src/feeds/presets.ts';
import { feedFormats } from '../../src/feeds/registry.ts';
import { outputs } from '../../src/outputs/registry.ts';
import { sinkKinds } from '../../src/sinks/registry.ts';
import { collectionIdOf } from '../../src/stix/id.ts';
import { storeEngines } from '../../src/store/registry.ts';

/** Loads a configuration that stands in `dir`, with all formats, presets, stores and sinks that there are. */
export function loadYaml(dir: string, yaml: string, env: Record<string, string> = {}): LoadedConfig {
  return loadConfig(yaml, {
    path: join(dir, 'sluice.yaml'),
    env,
    formats: feedFormats,
    presets,
    stores: storeEngines,
    sinks: sinkKinds,
    outputs,
    collectionIdOf,
  });
}
