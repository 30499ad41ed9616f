import { writeFileSync } from 'node:fs';
import { makeReference } from './configuration.ts';
import { makePresetList } from './presets.ts';

// node docs/generate.ts: writes configuration.md from the schemas, and presets.md from the presets.
writeFileSync(new URL('configuration.md', import.meta.url), makeReference());
writeFileSync(new URL('presets.md', import.meta.url), makePresetList());
