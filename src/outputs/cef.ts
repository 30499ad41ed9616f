import type { ObservableType } from '../model/observable.ts';
import { aboutOf } from './about.ts';
import { type LineEntry, lineOutput } from './lines.ts';

/** The key of the extension that means such a value. Others, and networks, are a custom string. */
const KEYS: Partial<Record<ObservableType, string>> = {
  ipv4: 'dst',
  ipv6: 'c6a3',
  domain: 'dhost',
  url: 'request',
  email: 'suser',
  md5: 'fileHash',
  sha1: 'fileHash',
  sha256: 'fileHash',
  'file-name': 'fname',
};
/** Keys that carry a label. */
const LABELS: Partial<Record<string, string>> = { c6a3: 'Destination IPv6 Address', cs1: 'Indicator' };
/** Characters of `dhost`, `request` and `fname` at most. */
const LONGEST = 1023;

/** ArcSight Common Event Format, version 0. */
export const cef = lineOutput({
  name: 'cef',
  title: 'an event in the Common Event Format per indicator',
  readers:
    'ArcSight, QRadar, Sentinel’s CEF connector and others; the severity is the confidence from 0 to 10; values of more than 1,023 characters are left out',
  extension: 'cef',
  comment: null,
  types: null,
  options: {},
  linesOf(entry) {
    const { type, value, confidence } = entry;
    // Blanks before the next key belong to no value.
    if (value.length > LONGEST || value !== value.trim()) return null;
    const { source, description } = aboutOf(entry);
    const key = keyOf(entry);
    const extension: [string, string | number | null | undefined][] = [
      ['cat', source],
      [`${key}Label`, LABELS[key]],
      [key, value],
      ['cn1Label', confidence === null ? null : 'Confidence'],
      ['cn1', confidence],
      ['msg', description],
    ];
    const pairs = extension.flatMap(([name, text]) => (text == null ? [] : [`${name}=${escaped(String(text))}`]));
    return [`CEF:0|Sluice|Sluice|1|${type}|Indicator|${severityOf(confidence)}|${pairs.join(' ')}`];
  },
});

function keyOf({ type, value }: LineEntry): string {
  const isNetwork = (type === 'ipv4' || type === 'ipv6') && value.includes('/');
  return (isNetwork ? undefined : KEYS[type]) ?? 'cs1';
}

function severityOf(confidence: number | null): string {
  return confidence === null ? 'Unknown' : String(Math.round(confidence / 10));
}

/** In an extension, `\` and `=` are escaped. */
function escaped(text: string): string {
  return text.replace(/[\\=]/g, '\\$&');
}
