import { isDigest } from './digests.ts';
import { lineOutput } from './lines.ts';

export const suricataMd5 = lineOutput({
  name: 'suricata-md5',
  title: 'a Suricata dataset of type `md5`',
  readers: 'Suricata from 5 on, `file.data; to_md5; dataset:isset,NAME,type md5,load FILE`, and with `filemd5:FILE`',
  comment: null,
  types: ['md5'],
  options: {},
  linesOf: ({ type, value }) => (isDigest(type, value) ? [value] : null),
});
