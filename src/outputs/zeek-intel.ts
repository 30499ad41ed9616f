import type { ObservableType } from '../model/observable.ts';
import { aboutOf } from './about.ts';
import { isAddress } from './addresses.ts';
import { isDigest } from './digests.ts';
import { lineOutput } from './lines.ts';
import { isMailbox, isName, urlText } from './names.ts';

const fields = ['indicator', 'indicator_type', 'meta.source', 'meta.desc', 'meta.url'];
const UNSET = '-';

export const zeekIntel = lineOutput({
  name: 'zeek-intel',
  title: 'a file for Zeek’s intelligence framework',
  readers:
    'Zeek, `redef Intel::read_files += { FILE }`; networks are `Intel::SUBNET`; URLs without scheme and user, as Zeek sees them',
  mediaType: 'text/tab-separated-values; charset=utf-8',
  extension: 'intel',
  comment: '#',
  types: ['ipv4', 'ipv6', 'domain', 'url', 'email', 'md5', 'sha1', 'sha256'],
  options: {},
  head: () => [`#fields\t${fields.join('\t')}`],
  linesOf(entry) {
    const indicator = indicatorOf(entry.type, entry.value);
    if (indicator === null) return null;
    const { source, description, url } = aboutOf(entry);
    return [[...indicator, ...[source, description, url].map(fieldText)].join('\t')];
  },
});

/** The indicator as Zeek compares it, and its type. */
function indicatorOf(type: ObservableType, value: string): [string, string] | null {
  if (type === 'ipv4' || type === 'ipv6')
    return isAddress(value) ? [value, value.includes('/') ? 'Intel::SUBNET' : 'Intel::ADDR'] : null;
  if (type === 'domain') return isName(value) ? [value, 'Intel::DOMAIN'] : null;
  if (type === 'url') {
    const text = urlText(value, { scheme: false, port: true });
    return text === null ? null : [text, 'Intel::URL'];
  }
  if (type === 'email') return isMailbox(value) ? [value, 'Intel::EMAIL'] : null;
  return isDigest(type, value) ? [value, 'Intel::FILE_HASH'] : null;
}

/** A backslash would begin an escape. */
function fieldText(text: string | null): string {
  return text?.replaceAll('\\', ' ') ?? UNSET;
}
