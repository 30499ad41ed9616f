import { parseIpv4, parseIpv6 } from './address.ts';
import { parseDomain, parseEmail, parseUrl } from './host.ts';
import { hashTypeOf, parseHash } from './identifier.ts';
import { badValue, isRefusal, type Parsed } from './parsed.ts';

/**
 * Reads an entry of a `suppress` or `admit` list: an address, a network, a domain, a URL, an e-mail address or a file hash, in canonical
 * form, or why it is none of them.
 */
export function parseListed(text: string): Parsed {
  const hashType = hashTypeOf(text);
  if (hashType !== null) return parseHash(hashType, text);
  const parsed = parserFor(text)(text);
  if (!isRefusal(parsed) && parsed.port !== undefined) return badValue('an address with a port');
  return parsed;
}

function parserFor(text: string): (text: string) => Parsed {
  if (text.includes('://')) return parseUrl;
  if (text.includes('@')) return parseEmail;
  if (text.includes(':')) return parseIpv6;
  return /^[\d./]+$/.test(text) ? parseIpv4 : parseDomain;
}
