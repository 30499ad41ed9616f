import { urlText } from './names.ts';
import { splunkLookup } from './splunk-lookup.ts';

export const splunkHttp = splunkLookup({
  name: 'splunk-http',
  title: 'URLs for Splunk Enterprise Security, `http_intel`',
  readers:
    'Splunk Enterprise Security; URLs without user and fragment; with `*`, which it takes for any characters, they are left out',
  types: ['url'],
  columns: ['description', 'http_referrer', 'http_user_agent', 'url', 'weight'],
  cellsOf({ value }) {
    const url = urlText(value, { scheme: true, port: true });
    return url === null ? null : { url };
  },
});
