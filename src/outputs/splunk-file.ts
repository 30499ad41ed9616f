import { isDigest } from './digests.ts';
import { splunkLookup } from './splunk-lookup.ts';

export const splunkFile = splunkLookup({
  name: 'splunk-file',
  title: 'digests and names of files for Splunk Enterprise Security, `file_intel`',
  readers: 'Splunk Enterprise Security; names with `*`, which it takes for any characters, are left out',
  types: ['md5', 'sha1', 'sha256', 'sha512', 'file-name'],
  columns: ['description', 'file_hash', 'file_name', 'weight'],
  cellsOf({ type, value }) {
    if (type === 'file-name') return { file_name: value };
    return isDigest(type, value) ? { file_hash: value } : null;
  },
});
