import { lineOutput } from './lines.ts';
import { isName, type SubdomainOptions, subdomainOption, urlText } from './names.ts';

/** Stands for any token: a URL that holds it would mean others as well. `^` was refused before. */
const WILDCARD = '*';

export const panosUrl = lineOutput<SubdomainOptions>({
  name: 'panos-url',
  title: 'PAN-OS external dynamic list of type URL list',
  readers:
    'PAN-OS; URLs without scheme, and domains as `name/`, so that no longer name is meant; 50,000 URLs and more by model',
  comment: null,
  types: ['url', 'domain'],
  options: { subdomains: subdomainOption(false) },
  linesOf({ type, value }, { subdomains }) {
    if (type === 'domain') return isName(value) ? [`${value}/`, ...(subdomains ? [`*.${value}/`] : [])] : null;
    const text = urlText(value, { scheme: false, port: true });
    return text === null || text.includes(WILDCARD) ? null : [text];
  },
});
