import { lineOutput } from './lines.ts';
import { isName } from './names.ts';

/** In datasets of type string each line is a value in Base64. */
export const suricataDomain = lineOutput({
  name: 'suricata-domain',
  title: 'a Suricata dataset of type `string`, names in Base64',
  readers:
    'Suricata from 5 on, `dns.query; to_lowercase; dataset:isset,NAME,type string,load FILE`, likewise `tls.sni`; names below a domain are not meant',
  comment: null,
  types: ['domain'],
  options: {},
  linesOf: ({ value }) => (isName(value) ? [Buffer.from(value).toString('base64')] : null),
});
