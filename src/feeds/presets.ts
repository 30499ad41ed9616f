/** Well-known feeds: a format and what it is told unless the configuration says otherwise. */
export const presets: Record<string, { format: string; options: Record<string, unknown> }> = {
  socdefenders: { format: 'socdefenders', options: { title: 'SOC Defenders' } },
  // Needs the Pro plan. Limits are the lower of its two documents, which name the collections in three ways; a request for
  // objects counts 2.5 times. The host is the REST feed's, so that both draw on one allowance.
  'socdefenders-taxii': {
    format: 'taxii',
    options: {
      title: 'SOC Defenders',
      url: 'https://socdefenders.ai/api/taxii2/',
      user: 'apikey',
      hosts: ['socdefenders.ai', 'www.socdefenders.ai'],
      collections: ['all'],
      aliases: {
        all: ['all-iocs', 'soc-defenders-all'],
        ips: ['ip-addresses', 'soc-defenders-network'],
        hashes: ['file-hashes', 'soc-defenders-hashes'],
      },
      every: '5m',
      per_minute: 100,
      per_day: 50_000,
      weight: 2.5,
      lookback: '30d',
      // As for its rows: what it no longer confirms has no end of its own.
      lifetime: { ipv4: '30d', ipv6: '30d', domain: '60d', url: '60d', default: '365d' },
    },
  },
  // A key of its own from CrowdSec's sales; updated hourly. Duplicates of one address merge here.
  'crowdsec-taxii': {
    format: 'taxii',
    options: {
      title: 'CrowdSec',
      url: 'https://taxii.cti.api.crowdsec.net/v1/taxii2/',
      header: 'x-api-key',
      collections: ['real-time-feeds'],
      every: '1h',
    },
  },
};
