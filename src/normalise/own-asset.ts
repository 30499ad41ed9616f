import { parseIpv4, parseIpv6 } from './address.ts';
import { parseDomain } from './host.ts';
import { badValue, isRefusal, type Parsed } from './parsed.ts';

/** Reads an entry of a `suppress` list: an address, a network or a domain, in canonical form, or why it is none of them. */
export function parseOwnAsset(text: string): Parsed {
  const parse = text.includes(':') ? parseIpv6 : /^[\d./]+$/.test(text) ? parseIpv4 : parseDomain;
  const parsed = parse(text);
  if (!isRefusal(parsed) && parsed.port !== undefined) return badValue('an address with a port');
  return parsed;
}
