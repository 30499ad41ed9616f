import { writeFileSync } from 'node:fs';
import { makeParser } from './make.ts';

// node grammar/generate.ts: writes the parser of STIX patterns anew from the grammar beside it.
writeFileSync(new URL('../src/stix/pattern/parser.ts', import.meta.url), makeParser());
