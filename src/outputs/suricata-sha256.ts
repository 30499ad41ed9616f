import { isDigest } from './digests.ts';
import { lineOutput } from './lines.ts';

export const suricataSha256 = lineOutput({
  name: 'suricata-sha256',
  title: 'a Suricata dataset of type `sha256`',
  readers:
    'Suricata from 5 on, `file.data; to_sha256; dataset:isset,NAME,type sha256,load FILE`, and with `filesha256:FILE`',
  comment: null,
  types: ['sha256'],
  options: {},
  linesOf: ({ type, value }) => (isDigest(type, value) ? [value] : null),
});
