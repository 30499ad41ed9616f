import type { WarningMode } from '../../model/definition.ts';

/**
 * Every warning list, and what it does where the configuration doesn't say. A list drops what nobody wants to block: to block it harms
 * more than it helps. It lowers what good and bad share, where one address or name stands for many users. It tags what says where
 * something stands, such as the networks of a cloud, whose addresses belong to one customer each.
 */
export const defaultModes = {
  // Our own (built-in.ts).
  'private-networks': 'drop',
  'wide-networks': 'drop',
  'public-resolvers': 'drop',
  // MISP's (data/README.md).
  'public-dns-v4': 'drop',
  'public-dns-v6': 'drop',
  'empty-hashes': 'drop',
  'common-ioc-false-positive': 'drop',
  'ti-falsepositives': 'drop',
  'eicar.com': 'drop',
  tranco10k: 'drop',
  google: 'drop',
  microsoft: 'drop',
  'microsoft-office365': 'drop',
  'microsoft-win10-connection-endpoints': 'drop',
  'captive-portals': 'drop',
  'security-provider-blogpost': 'drop',
  'second-level-tlds': 'drop',
  'lots-project': 'drop',
  'whats-my-ip': 'lower',
  'url-shortener': 'lower',
  cloudflare: 'lower',
  akamai: 'lower',
  fastly: 'lower',
  stackpath: 'lower',
  'google-gmail-sending-ips': 'lower',
  googlebot: 'lower',
  'microsoft-office365-ip': 'lower',
  'amazon-aws': 'tag',
  'google-gcp': 'tag',
  'microsoft-azure': 'tag',
  'microsoft-azure-china': 'tag',
  'microsoft-azure-germany': 'tag',
  'microsoft-azure-us-gov': 'tag',
  github: 'tag',
  zscaler: 'tag',
  sinkholes: 'tag',
  'parking-domain': 'tag',
  'automated-malware-analysis': 'tag',
  'common-contact-emails': 'tag',
} as const satisfies Readonly<Record<string, WarningMode>>;

export type ListName = keyof typeof defaultModes;
