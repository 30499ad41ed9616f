import { adblock } from './adblock.ts';
import { csv } from './csv.ts';
import { domains } from './domains.ts';
import { ecs } from './ecs.ts';
import { hosts } from './hosts.ts';
import { json } from './json.ts';
import { ndjson } from './ndjson.ts';
import type { Output } from './output.ts';
import { panosDomain } from './panos-domain.ts';
import { panosIp } from './panos-ip.ts';
import { panosUrl } from './panos-url.ts';
import { rpz } from './rpz.ts';
import { stix } from './stix.ts';
import { txt } from './txt.ts';

/** Every format by its name. Without `format` and Accept, the first that a route offers is used. */
export const outputs = {
  json,
  csv,
  txt,
  ecs,
  stix,
  ndjson,
  adblock,
  domains,
  hosts,
  'panos-domain': panosDomain,
  'panos-ip': panosIp,
  'panos-url': panosUrl,
  rpz,
} satisfies Record<string, Output>;
