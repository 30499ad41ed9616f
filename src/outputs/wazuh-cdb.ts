import type { ObservableType } from '../model/observable.ts';
import { isAddress, networkOf } from './addresses.ts';
import { isDigest } from './digests.ts';
import { lineOutput } from './lines.ts';
import { isName, urlText } from './names.ts';

export const wazuhCdb = lineOutput({
  name: 'wazuh-cdb',
  title: 'a CDB list for Wazuh, keys without values',
  readers:
    'Wazuh, `<list field="srcip" lookup="address_match_key">`; it has networks of IPv4 as /8, /16 or /24 only, others are left out; read when the manager starts',
  comment: null,
  types: ['ipv4', 'ipv6', 'domain', 'url', 'md5', 'sha1', 'sha256', 'sha512'],
  options: {},
  linesOf({ type, value }) {
    const key = keyOf(type, value);
    if (key === null) return null;
    return [key.includes(':') ? `"${key}":` : `${key}:`];
  },
});

/** None of these can hold a quote. */
function keyOf(type: ObservableType, value: string): string | null {
  if (type === 'ipv4' || type === 'ipv6') return isAddress(value) ? addressKey(value) : null;
  if (type === 'domain') return isName(value) ? value : null;
  // Events hold the URL as it was asked for, so it is written whole.
  if (type === 'url') return urlText(value, { scheme: true, port: true }) === null ? null : value;
  return isDigest(type, value) ? value : null;
}

/** A network is written by the numbers that all its addresses begin with, `192.0.2.` for a /24. */
function addressKey(value: string): string | null {
  if (!value.includes('/')) return value;
  const { bits, prefix } = networkOf(value);
  if (bits !== 32 || ![8, 16, 24].includes(prefix)) return null;
  return `${value
    .split('.')
    .slice(0, prefix / 8)
    .join('.')}.`;
}
