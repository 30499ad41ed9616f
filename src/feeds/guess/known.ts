import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';
import type { Guess } from './columns.ts';

/** Lists whose meaning no column tells: they are known by their shape, and the hint names the preset that reads them best. */

/** The pulses of AlienVault OTX: each holds a list of indicators. */
export function guessPulses({ results }: JsonObject): Guess | null {
  const isIndicator = (one: Json): boolean => isJsonObject(one) && 'indicator' in one && 'type' in one;
  const isPulse = (one: Json): boolean =>
    isJsonObject(one) && Array.isArray(one['indicators']) && one['indicators'].some(isIndicator);
  if (!Array.isArray(results) || !results.some(isPulse)) return null;
  const fields = {
    value: 'indicator',
    type: 'type',
    first_seen: 'created',
    name: '^.name',
    labels: '^.tags',
    tlp: '^.tlp',
  };
  return {
    format: 'json',
    options: { items: '$.results[*]', rows: 'indicators', fields, words: { tlp: { white: 'clear' } } },
    why: 'the pulses of AlienVault OTX; the preset otx reads all pages, and what is new',
  };
}

/** Spamhaus' ASN-DROP: a number alone is no value that could be told, and the domain beside it is its holder's. */
export function guessAutonomousSystems(lines: readonly JsonObject[]): Guess | null {
  const rows = lines.filter(({ type }) => type !== 'metadata');
  const isSystem = ({ asn, asname }: JsonObject): boolean => typeof asn === 'number' && typeof asname === 'string';
  if (rows.length === 0 || !rows.every(isSystem)) return null;
  const fields = { value: 'asn', name: 'asname' };
  return {
    format: 'json',
    options: { lines: true, skip: { type: 'metadata' }, fields, constants: { type: 'asn' } },
    why: "a JSON object with an asn a line; the preset spamhaus-asndrop reads Spamhaus' list",
  };
}

/** Tor's list of exit addresses (TorDNSEL): blocks of lines, of which those with an address count. */
export function guessExitAddresses(lines: readonly string[]): Guess | null {
  const isBlock = lines.some((line) => /^ExitNode [0-9A-F]{40}$/.test(line));
  if (!isBlock || !lines.some((line) => /^ExitAddress \S/.test(line))) return null;
  return {
    format: 'text',
    options: {
      pattern: '^ExitAddress (?P<value>\\S+) (?P<last_seen>\\S+ \\S+)$',
      comments: ['ExitNode', 'Published', 'LastStatus'],
    },
    why: "Tor's exit addresses; the preset tor-exits reads the plain list of them",
  };
}
