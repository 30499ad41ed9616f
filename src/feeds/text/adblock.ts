import { readHostsLine } from './hosts.ts';
import type { LineFault, LineValues } from './line.ts';

/** Options that do not narrow a rule to some pages, clients or kinds of records: the host is blocked with them as without. */
const wideOptions = new Set(['important', 'all', 'document', 'doc', 'popup', 'network', 'third-party', '3p']);

/**
 * The host that a line of a filter list blocks: `||bad.example^`, with options or without, or the name alone. Lines in the form of a
 * hosts file are read as such, which filters for DNS allow. All other rules say something that no indicator can say.
 */
export function readAdblockLine(line: string): LineValues {
  if (line.startsWith('[') && line.endsWith(']')) return null;
  if (line.startsWith('@@')) return unsupported('an exception: it blocks nothing');
  if (line.startsWith('||')) return hostOfRule(line);
  if (/\s/.test(line)) return readHostsLine(line);
  return isHost(line) ? [line] : unsupported('a rule for more than a host');
}

function hostOfRule(line: string): LineValues {
  const dollar = line.indexOf('$');
  const rule = dollar === -1 ? line : line.slice(0, dollar);
  const narrow =
    dollar === -1
      ? undefined
      : line
          .slice(dollar + 1)
          .split(',')
          .find((one) => !wideOptions.has(one));
  if (narrow !== undefined) return unsupported(`a rule with the option ${narrow.slice(0, 80)}`);
  const end = rule.endsWith('^|') ? -2 : -1;
  const host = rule.slice(2, end);
  return rule.at(end) === '^' && isHost(host) ? [host] : unsupported('a rule for more than a host');
}

/** Whether it is one is for normalising to say; here it may hold nothing that has a meaning in a rule. */
function isHost(text: string): boolean {
  return /[.:]/.test(text) && !/[/*^|$#?&=,]/.test(text);
}

function unsupported(detail: string): LineFault {
  return { reason: 'unsupported-pattern', detail };
}
