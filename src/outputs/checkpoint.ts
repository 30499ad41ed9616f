import { hash } from 'node:crypto';
import { isAddress, linesOfAddress } from './addresses.ts';
import { isDigest } from './digests.ts';
import { type LineEntry, lineOutput } from './lines.ts';
import { isName, urlText } from './names.ts';

/** Every record has as many fields as this line says (Check Point sk132193). */
const HEADER = '#UNIQ-NAME,VALUE,TYPE,CONFIDENCE,SEVERITY,PRODUCT,COMMENT';

export const checkpoint = lineOutput({
  name: 'checkpoint',
  title: 'Check Point custom intelligence feed (CSV of indicators)',
  readers:
    'Check Point Threat Prevention; addresses are IPv4, networks are ranges; files are for Anti-Virus, the rest for Anti-Bot; a record with an empty field would refuse the whole file',
  mediaType: 'text/csv; charset=utf-8',
  extension: 'csv',
  // Lines that begin with # are the header and settings of the feed.
  comment: null,
  types: ['ipv4', 'domain', 'url', 'md5', 'sha1', 'sha256'],
  options: {},
  head: () => [HEADER],
  linesOf(entry) {
    const observable = observableOf(entry);
    if (observable === null) return null;
    const { type, value } = observable;
    const product = entry.type === 'md5' || entry.type === 'sha1' || entry.type === 'sha256' ? 'AV' : 'AB';
    const fields = [nameOf(entry), value, type, confidenceOf(entry), 'high', product, 'Sluice'];
    return [fields.map(quoted).join(',')];
  },
});

const hashTypes = { md5: 'MD5', sha1: 'SHA1', sha256: 'SHA256' } as const;

function observableOf({ type, value }: LineEntry): { type: string; value: string } | null {
  switch (type) {
    case 'ipv4': {
      const [line] = (isAddress(value) && linesOfAddress(value, 'range')) || [];
      return line === undefined ? null : { type: value.includes('/') ? 'IP Range' : 'IP', value: line };
    }
    case 'domain':
      return isName(value) ? { type: 'Domain', value } : null;
    case 'url': {
      const text = urlText(value, { scheme: true, port: true });
      return text === null ? null : { type: 'URL', value: text };
    }
    case 'md5':
    case 'sha1':
    case 'sha256':
      return isDigest(type, value) ? { type: hashTypes[type], value } : null;
    default:
      return null;
  }
}

/** The same for a value in every build, and no other has it. */
function nameOf({ type, value }: LineEntry): string {
  return `sluice-${hash('sha256', `${type}:${value}`, 'hex').slice(0, 20)}`;
}

/** STIX 2.1 appendix A; low where nobody says. */
function confidenceOf({ confidence }: LineEntry): string {
  if (confidence === null || confidence < 30) return 'low';
  return confidence < 70 ? 'medium' : 'high';
}

function quoted(field: string): string {
  return `"${field.replaceAll('"', '""')}"`;
}
