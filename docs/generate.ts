import { writeFileSync } from 'node:fs';
import { makeReference } from './configuration.ts';

// node docs/generate.ts: writes configuration.md anew from the schemas.
writeFileSync(new URL('configuration.md', import.meta.url), makeReference());
