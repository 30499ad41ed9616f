import type { LineValues } from './line.ts';

/** What every machine's own file names (hosts(5), and the heads of public lists); none is a name of another machine. */
const localNames = new Set([
  '0.0.0.0',
  'localhost',
  'localhost.localdomain',
  'local',
  'broadcasthost',
  'ip6-localhost',
  'ip6-loopback',
  'ip6-localnet',
  'ip6-mcastprefix',
  'ip6-allnodes',
  'ip6-allrouters',
  'ip6-allhosts',
]);

/** The names of a line of a hosts file, `0.0.0.0 bad.example worse.example`, or of a line that is a name alone. */
export function readHostsLine(line: string): LineValues {
  const [first = '', ...others] = line.split(/\s+/);
  const isAddress = first.includes(':') || /^[\d.]+$/.test(first);
  if (!isAddress && others.length > 0) return { reason: 'bad-value', detail: 'the line begins with no address' };
  const names = isAddress ? others : [first];
  if (names.length === 0) return { reason: 'no-value', detail: 'an address without a name' };
  const found = names.filter((name) => !localNames.has(name.toLowerCase()));
  return found.length === 0 ? null : found;
}
