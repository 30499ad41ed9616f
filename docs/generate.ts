import { writeFileSync } from 'node:fs';
import { makeReference } from './configuration.ts';
import { makeListsPage } from './lists.ts';
import { makePresetList } from './presets.ts';
import { makeWarningLists } from './warning-lists.ts';

// node docs/generate.ts: writes configuration.md from the schemas, presets.md from the presets, lists.md from the formats of
// lists, warning-lists.md from the warning lists.
writeFileSync(new URL('configuration.md', import.meta.url), makeReference());
writeFileSync(new URL('presets.md', import.meta.url), makePresetList());
writeFileSync(new URL('warning-lists.md', import.meta.url), makeWarningLists());
writeFileSync(new URL('lists.md', import.meta.url), makeListsPage());
