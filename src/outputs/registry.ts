import { csv } from './csv.ts';
import { ecs } from './ecs.ts';
import { json } from './json.ts';
import { ndjson } from './ndjson.ts';
import type { Output } from './output.ts';
import { stix } from './stix.ts';
import { txt } from './txt.ts';

/** Every format, by its name. Where a reader names none, the first that fits is taken. */
export const outputs = { json, csv, txt, ecs, stix, ndjson } satisfies Record<string, Output>;
