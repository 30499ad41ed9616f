import { csv } from './csv.ts';
import { json } from './json.ts';
import { ndjson } from './ndjson.ts';
import type { Output } from './output.ts';
import { stix } from './stix.ts';
import { txt } from './txt.ts';

/** Every format that can be asked for, by its name. */
export const outputs = { json, csv, txt, stix, ndjson } satisfies Record<string, Output>;
