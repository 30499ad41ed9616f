import { writeFileSync } from 'node:fs';
import { makeDocument } from './document.ts';

// node openapi/generate.ts: writes openapi.json anew from the routes and the examples beside it.
writeFileSync(new URL('openapi.json', import.meta.url), await makeDocument());
