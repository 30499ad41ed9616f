import { writeFileSync } from 'node:fs';
import { makeReference } from './configuration.ts';
import { makePresetList } from './presets.ts';
import { makeWarningLists } from './warning-lists.ts';

// node docs/generate.ts: writes configuration.md from the schemas, presets.md from the presets, warning-lists.md from the lists.
writeFileSync(new URL('configuration.md', import.meta.url), makeReference());
writeFileSync(new URL('presets.md', import.meta.url), makePresetList());
writeFileSync(new URL('warning-lists.md', import.meta.url), makeWarningLists());
