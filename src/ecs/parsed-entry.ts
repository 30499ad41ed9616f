import { parse as parseHost } from 'tldts';
import type { Micros } from '../model/clock.ts';
import { shortHives } from '../model/elastic.ts';
import type { Claim, IndicatorEntry } from '../model/entry.ts';
import type { Json, JsonObject } from '../model/json.ts';
import type { ExternalReference } from '../model/observation.ts';
import { formatMillis } from '../model/timestamp.ts';
import type { EcsContext } from './data-stream.ts';

/** An entry as the rows of fields.ts read it: its JSON columns parsed, its value taken apart, once per document. */
export interface Facts {
  entry: IndicatorEntry;
  context: EcsContext;
  /** `@timestamp` in microseconds, whole milliseconds. */
  at: Micros;
  /** Strongest first. */
  claims: Claim[];
  labels: string[];
  references: ExternalReference[];
  kept: JsonObject;
  /** Of an ipv4 or ipv6 entry: one address, or a network, never both. */
  address: string | undefined;
  network: string | undefined;
  /** Of a URL. */
  url: URL | undefined;
  /** A domain, or the host of a URL, which may be an address. */
  host: string | undefined;
  /** Of a host that is a name. */
  name: HostName | undefined;
  /** Of a registry key. */
  registry: { hive: string; key: string } | undefined;
}

/** A host name by the Public Suffix List; parts that it doesn't have are null. */
interface HostName {
  domain: string | null;
  publicSuffix: string | null;
  subdomain: string | null;
}

/** Reads an entry. Its columns are what curation wrote, so nothing here can be malformed. */
export function factsOf(entry: IndicatorEntry, context: EcsContext, at: Micros = entry.version): Facts {
  const { type, value } = entry;
  const isAddress = type === 'ipv4' || type === 'ipv6';
  const isNetwork = isAddress && value.includes('/');
  const url = type === 'url' ? (URL.parse(value) ?? undefined) : undefined;
  const host = type === 'domain' ? value : url?.hostname;
  return {
    entry,
    context,
    at,
    claims: listOf<Claim>(entry.sources),
    labels: listOf<string>(entry.labels),
    references: listOf<ExternalReference>(entry.references),
    kept: entry.kept === null ? nothing : (JSON.parse(entry.kept) as JsonObject),
    address: isAddress && !isNetwork ? value : undefined,
    network: isNetwork ? value : undefined,
    url,
    host,
    name: host === undefined || isIpHost(host) ? undefined : parseHost(host, suffixOptions),
    registry: type === 'registry-key' ? splitKey(value) : undefined,
  };
}

const nothing: JsonObject = Object.freeze({});

function listOf<T>(column: string | null): T[] {
  return column === null || column.length <= 2 ? [] : (JSON.parse(column) as T[]);
}

/**
 * With private suffixes, as Elastic's registered_domain processor and Packetbeat read the list: the owner of
 * evil.github.io is evil.github.io, and a pivot on it must not find all of GitHub.
 */
const suffixOptions = { extractHostname: false, validateHostname: false, detectIp: false, allowPrivateDomains: true };

/** Is a URL's host an address? Canonical URLs have them in brackets or as four plain decimals (normalise/host.ts). */
export function isIpHost(host: string): boolean {
  return host.startsWith('[') || /^[\d.]+$/.test(host);
}

/** `HKEY_LOCAL_MACHINE\Software\X` (STIX) or `HKLM\Software\X` (elastic-agent) to ECS' short hive and the key in it. */
function splitKey(value: string): { hive: string; key: string } {
  const end = value.indexOf('\\');
  const hive = value.slice(0, end);
  return { hive: shortHives[hive] ?? hive, key: value.slice(end + 1) };
}

/** What stands behind the last dot of a file's name; undefined where that is no extension. */
export function extensionOf(name: string): string | undefined {
  return /[^/]\.([A-Za-z0-9]{1,16})$/.exec(name)?.[1];
}

/** Undefined for a list of nothing: an empty field is left out. */
export function some<T extends Json>(list: readonly T[]): T[] | undefined {
  return list.length === 0 ? undefined : [...list];
}

export function timeOf(micros: Micros | null): string | undefined {
  return micros === null ? undefined : formatMillis(micros);
}

/** A certificate's fingerprint names its algorithm by its length (model/observable.ts). */
export function algorithmOf(fingerprint: string): string | undefined {
  return ({ 32: 'md5', 40: 'sha1', 64: 'sha256' } as Record<number, string>)[fingerprint.length];
}
