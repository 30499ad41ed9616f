import { parse as parseHost } from 'tldts';
import type { Micros } from '../model/clock.ts';
import { shortHives } from '../model/elastic.ts';
import type { Claim, IndicatorEntry } from '../model/entry.ts';
import { type JsonObject, type JsonText, parseJson } from '../model/json.ts';
import type { ExternalReference } from '../model/observation.ts';
import { formatMillis } from '../model/timestamp.ts';
import type { EcsContext } from './data-stream.ts';

/** An entry as the rows of fields.ts read it: its JSON columns parsed and its value split, once per document. */
export interface ParsedEntry {
  entry: IndicatorEntry;
  context: EcsContext;
  /** `@timestamp` in microseconds, whole milliseconds. */
  at: Micros;
  /** Strongest first. */
  claims: Claim[];
  labels: string[];
  references: ExternalReference[];
  kept: JsonObject;
  /** Of an ipv4 or ipv6 entry, either an address or a network. */
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

/** Parses an entry. Its columns were written by Sluice, so they are well-formed. `at`: the document's `@timestamp`. */
export function parseEntry(entry: IndicatorEntry, context: EcsContext, at: Micros = entry.version): ParsedEntry {
  const { type, value } = entry;
  const isAddress = type === 'ipv4' || type === 'ipv6';
  const isNetwork = isAddress && value.includes('/');
  const url = type === 'url' ? (URL.parse(value) ?? undefined) : undefined;
  const host = type === 'domain' ? value : url?.hostname;
  return {
    entry,
    context,
    at,
    claims: parseList(entry.sources),
    labels: parseList(entry.labels),
    references: parseList(entry.references),
    kept: entry.kept === null ? nothing : parseJson(entry.kept),
    address: isAddress && !isNetwork ? value : undefined,
    network: isNetwork ? value : undefined,
    url,
    host,
    name: host === undefined || isIpHost(host) ? undefined : parseHost(host, suffixOptions),
    registry: type === 'registry-key' ? splitKey(value) : undefined,
  };
}

const nothing: JsonObject = Object.freeze({});

function parseList<T>(column: JsonText<T[]> | null): T[] {
  return column === null || column.length <= 2 ? [] : parseJson(column);
}

/**
 * Private suffixes count, as in Elastic's registered_domain processor and in Packetbeat: the registered domain of
 * evil.github.io is evil.github.io, so a pivot on it does not find all of GitHub.
 */
const suffixOptions = { extractHostname: false, validateHostname: false, detectIp: false, allowPrivateDomains: true };

/** True when the host of a canonical URL is an address: in brackets, or four decimals (normalise/host.ts). */
export function isIpHost(host: string): boolean {
  return host.startsWith('[') || /^[\d.]+$/.test(host);
}

/** `HKEY_LOCAL_MACHINE\Software\X` (STIX) or `HKLM\Software\X` (elastic-agent) to ECS' short hive and the key in it. */
function splitKey(value: string): { hive: string; key: string } {
  const end = value.indexOf('\\');
  const hive = value.slice(0, end);
  return { hive: shortHives[hive] ?? hive, key: value.slice(end + 1) };
}

/** The extension of a file name, without the dot; undefined where it has none. */
export function extensionOf(name: string): string | undefined {
  return /[^/]\.([A-Za-z0-9]{1,16})$/.exec(name)?.[1];
}

/** The list, or undefined when it is empty, so that the field is left out. */
export function nonEmpty<T>(list: readonly T[]): T[] | undefined {
  return list.length === 0 ? undefined : [...list];
}

export function timeOf(micros: Micros | null): string | undefined {
  return micros === null ? undefined : formatMillis(micros);
}

const algorithms = new Map([
  [32, 'md5'],
  [40, 'sha1'],
  [64, 'sha256'],
]);

/** The hash algorithm of a certificate's fingerprint, by its length in hex digits (model/observable.ts). */
export function algorithmOf(fingerprint: string): string | undefined {
  return algorithms.get(fingerprint.length);
}
