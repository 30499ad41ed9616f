import { csv } from './csv.ts';
import { ecs } from './ecs.ts';
import { json } from './json.ts';
import { ndjson } from './ndjson.ts';
import type { Output } from './output.ts';
import { stix } from './stix.ts';
import { txt } from './txt.ts';

/** Every format by its name. Without `format` and Accept, the first that a route offers is used. */
export const outputs = { json, csv, txt, ecs, stix, ndjson } satisfies Record<string, Output>;
