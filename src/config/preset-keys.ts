import type { ConfigEntry, ConfigNode } from './yaml.ts';

type Entries = ReadonlyMap<string, ConfigEntry>;

/**
 * What a preset says of the list at its address. At another address there may be another list: copies of the preset's are none of it,
 * and neither its size nor the guards that it does without are known.
 */
const ofList = ['fallback_urls', 'expect_rows', 'empty_allowed', 'shrink_guard'];
/** How the preset's server is asked. A file needs none of it. */
const ofServer = ['url', 'hosts', 'user', 'header', 'scheme', 'method', 'headers', 'body', 'content_type'];

/** Lays the keys of a feed over those of its preset. The feed's own count; an own `url` or `path` leaves out what goes with the preset's. */
export function layOverPreset(preset: Entries, own: Entries): Map<string, ConfigEntry> {
  const [known, given] = [textOf(preset.get('url')?.node), textOf(own.get('url')?.node)];
  const left = new Set<string>();
  if (own.has('path') || (given !== null && given !== known)) for (const key of ofList) left.add(key);
  if (own.has('path')) for (const key of ofServer) left.add(key);
  // The key of another server is not for the hosts of the preset's.
  if (given !== null && !hostsOf(preset).includes(hostOf(given))) left.add('hosts');
  return new Map([...[...preset].filter(([key]) => !left.has(key)), ...own]);
}

/** The names of a preset's server. */
function hostsOf(preset: Entries): string[] {
  const hosts = preset.get('hosts')?.node;
  const url = textOf(preset.get('url')?.node);
  const others = hosts?.kind === 'list' ? hosts.items.flatMap((item) => textOf(item) ?? []) : [];
  return [...(url === null ? [] : [hostOf(url)]), ...others];
}

function hostOf(url: string): string {
  return URL.parse(url)?.host ?? '';
}

function textOf(node: ConfigNode | undefined): string | null {
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : null;
}
