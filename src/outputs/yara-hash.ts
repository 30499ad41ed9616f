import { aboutOf } from './about.ts';
import { isDigest } from './digests.ts';
import { lineOutput } from './lines.ts';

/** A rule per digest, so that a match says which. YARA computes each digest of a file once. */
export const yaraHash = lineOutput({
  name: 'yara-hash',
  title: 'a YARA rule per digest of a file',
  readers: 'YARA with its module `hash`; slow over many digests, for which a scanner’s own list of digests is better',
  extension: 'yar',
  comment: '//',
  types: ['md5', 'sha1', 'sha256'],
  options: {},
  head: () => ['import "hash"'],
  linesOf(entry) {
    const { type, value } = entry;
    if (!isDigest(type, value)) return null;
    const { source, description } = aboutOf(entry);
    const meta = `description = "${quoted(description ?? source ?? value)}"`;
    return [`rule sluice_${type}_${value} { meta: ${meta} condition: hash.${type}(0, filesize) == "${value}" }`];
  },
});

/** Text between quotes. YARA reads bytes: what is not ASCII becomes a question mark. */
function quoted(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, '?').replace(/["\\]/g, '\\$&');
}
