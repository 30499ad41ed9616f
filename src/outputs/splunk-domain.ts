import { isName } from './names.ts';
import { splunkLookup } from './splunk-lookup.ts';

export const splunkDomain = splunkLookup({
  name: 'splunk-domain',
  title: 'domains for Splunk Enterprise Security, `ip_intel`',
  readers: 'Splunk Enterprise Security; the weight is the confidence, empty where none is known',
  types: ['domain'],
  columns: ['description', 'domain', 'weight'],
  cellsOf: ({ value }) => (isName(value) ? { domain: value } : null),
});
