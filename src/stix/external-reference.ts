import type { FeedDefinition, Redistribution } from '../model/definition.ts';
import { isCve } from '../model/observable.ts';
import type { ExternalReference, Observation } from '../model/observation.ts';

/** External references (STIX 2.1 section 2.5) that every reader takes. */

const MAX_URL = 2048;
/** Characters that RFC 3986 does not allow in a URI; WHATWG's serialisation leaves some of them. */
const OUTSIDE_URI = /[^\w\-.~:/?#@!$&'()*+,;=%[\]]/g;
const encode = (character: string): string => encodeURIComponent(character.toWellFormed());

/** Results by text: rows of one article share their link, and parsing a URL takes as long as rendering a row. */
const known = new Map<string, string | null>();
const MOST_KNOWN = 2000;

/** An absolute http(s) URL as RFC 3986 text; null for other texts and for URLs with a user or password. */
export function referenceUrl(text: string): string | null {
  if (text.length > MAX_URL) return null;
  let url = known.get(text);
  if (url === undefined) {
    url = readUrl(text);
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(text, url);
  }
  return url;
}

function readUrl(text: string): string | null {
  const url = URL.parse(text.trim());
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  if (url.username !== '' || url.password !== '' || /[^\w.:[\]-]/.test(url.host)) return null;
  const rest = url.href.slice(url.origin.length);
  const escaped = rest
    .replace(OUTSIDE_URI, encode)
    .replace(/[[\]]/g, (bracket) => (bracket === '[' ? '%5B' : '%5D'))
    .replace(/%(?![0-9A-Fa-f]{2})/g, '%25');
  // Only the first # begins a fragment.
  const fragment = escaped.indexOf('#');
  const safe =
    fragment < 0 ? escaped : escaped.slice(0, fragment + 1) + escaped.slice(fragment + 1).replaceAll('#', '%23');
  return url.origin.length + safe.length > MAX_URL ? null : url.origin + safe;
}

const CAPEC = /^CAPEC-\d+$/;

/**
 * The reference as it is served: with a description, URL or id, a valid URL, and the source names `cve` and `capec` for such ids only
 * (section 2.5.2). Null when nothing is left.
 */
export function normaliseReference(reference: ExternalReference): ExternalReference | null {
  const url = reference.url === undefined ? null : referenceUrl(reference.url);
  const id = reference.external_id;
  const tidy: ExternalReference = { source_name: registryOf(id) ?? honestName(reference.source_name) };
  if (reference.description !== undefined) tidy.description = reference.description;
  if (url !== null) tidy.url = url;
  if (id !== undefined) tidy.external_id = id;
  return tidy.description === undefined && url === null && id === undefined ? null : tidy;
}

function registryOf(id: string | undefined): string | null {
  if (id === undefined) return null;
  return isCve(id) ? 'cve' : CAPEC.test(id) ? 'capec' : null;
}

function honestName(name: string): string {
  return name === 'cve' || name === 'capec' ? name.toUpperCase() : name;
}

/**
 * References made from an observation's source and techniques: the publisher with its article or row id, then ATT&CK. The observation's
 * own `references` are not among them.
 */
export function sourceReferences(observation: Observation): ExternalReference[] {
  const { source, sourceId, techniques } = observation;
  const { article_title: title, article_url: url } = source;
  const publisher: ExternalReference = { source_name: source.feed_name };
  if (title !== undefined) publisher.description = title;
  if (url !== undefined) publisher.url = url;
  if (sourceId !== null) publisher.external_id = sourceId;
  const tidy = normaliseReference(publisher);
  const references = tidy === null ? [] : [tidy];
  for (const technique of techniques) {
    const path = technique.replace('.', '/');
    references.push({
      source_name: 'mitre-attack',
      url: `https://attack.mitre.org/techniques/${path}/`,
      external_id: technique,
    });
  }
  return references;
}

const limits: Partial<Record<Redistribution, string>> = {
  no: 'not to be passed on outside of the organisation that reads it',
  'non-commercial': 'not to be passed on for money',
};

/** The credit that the publisher of a feed asks for, and how far its data may go; null where nothing is said of either. */
export function creditOf({ title, attribution, redistribution = 'unknown' }: CreditedFeed): ExternalReference | null {
  const said = [attribution, limits[redistribution]].filter((one) => one !== undefined);
  return said.length === 0 ? null : { source_name: honestName(title), description: said.join('; ') };
}

export type CreditedFeed = Pick<FeedDefinition, 'title' | 'attribution' | 'redistribution'>;
