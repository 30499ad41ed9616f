import type { Entry, IndicatorEntry } from '../model/entry.ts';
import { type JsonText, trustJson } from '../model/json.ts';
import { formatMillis } from '../model/timestamp.ts';
import { splitKept } from './json-columns.ts';
import { markingId, type TlpVersion } from './marking.ts';
import { escapeLiteral, patternHead, patternTail } from './pattern.ts';
import { descriptionOf, indicatorTypes } from './properties.ts';

export interface RenderContext {
  /** `created_by_ref`: the id of the producing identity. */
  identityId: string;
  /** The version of TLP whose markings are referred to; absent: 2. */
  tlpVersion?: TlpVersion | undefined;
}

/**
 * The JSON text of one STIX 2.1 object: an indicator or vulnerability from its columns, any other object as it came. The text is
 * written without building the object, and JSON columns are copied into it (bench/render.ts). The plain version, which builds the
 * object, is in test/helpers/stix.ts.
 */
export function renderEntry(entry: Entry, context: RenderContext): JsonText {
  if (entry.kind === 'object') return entry.raw;
  return trustJson(entry.type === 'cve' ? vulnerability(entry, context) : indicator(entry, context));
}

/** STIX 2.1 section 4.7. */
function indicator(entry: IndicatorEntry, context: RenderContext): string {
  const { type, value, validUntil, references } = entry;
  const types = indicatorTypes(entry);
  const literal = isPlain(value) ? value : JSON.stringify(escapeLiteral(value)).slice(1, -1);
  let text = `{"type":"indicator",${commonProperties(entry, context)}`;
  text += `,"name":${quote(entry.name ?? value)},"description":${descriptionOf(entry)}`;
  if (types !== null) text += `,"indicator_types":${types}`;
  text += `,"pattern":"${patternHead(entry)}${literal}${patternTail(type)}","pattern_type":"stix","pattern_version":"2.1"`;
  text += `,"valid_from":"${formatMillis(entry.validFrom)}"`;
  if (validUntil !== null) text += `,"valid_until":"${formatMillis(validUntil)}"`;
  text += confidenceAndLabels(entry);
  if (references !== null && references.length > 2) text += `,"external_references":${references}`;
  return text + markingsAndKept(entry, context);
}

/** STIX 2.1 section 4.19: a CVE has no pattern and no validity; its name is its id, and `cve` its first reference. */
function vulnerability(entry: IndicatorEntry, context: RenderContext): string {
  const { value, references } = entry;
  let text = `{"type":"vulnerability",${commonProperties(entry, context)}`;
  text += `,"name":${quote(value)},"description":${descriptionOf(entry)}`;
  text += confidenceAndLabels(entry);
  text += `,"external_references":[{"source_name":"cve","external_id":"${value}"}${others(references)}`;
  return text + markingsAndKept(entry, context);
}

/** The common properties (STIX 2.1 section 3.2). Only tombstones have `revoked`: absent means false. */
function commonProperties(
  { objectId, created, version, revoked }: IndicatorEntry,
  { identityId }: RenderContext,
): string {
  let text = `"spec_version":"2.1","id":"${objectId}","created_by_ref":"${identityId}"`;
  text += `,"created":"${formatMillis(created)}","modified":"${formatMillis(version)}"`;
  return revoked ? `${text},"revoked":true` : text;
}

/** `confidence` and `labels`. The TLP level is a label as well, for tools that do not read markings. */
function confidenceAndLabels({ confidence, labels, tlp }: IndicatorEntry): string {
  const text = `,"labels":["tlp:${tlp}"${others(labels)}`;
  return confidence === null ? text : `,"confidence":${confidence}${text}`;
}

/** The end of the object: its markings, then the upstream properties that Sluice doesn't model. */
function markingsAndKept({ kept, tlp }: IndicatorEntry, { tlpVersion }: RenderContext): string {
  const { markings, members } = splitKept(kept);
  return `,"object_marking_refs":["${markingId(tlp, tlpVersion)}"${others(markings)}${members}}`;
}

/** The rest of a JSON list whose first item is Sluice's own. That comes first because some readers cut long lists. */
function others(list: JsonText | null): string {
  return list === null || list.length <= 2 ? ']' : `,${list.slice(1)}`;
}

/** Characters that need an escape in JSON or in a pattern, and lone surrogates. */
const NEEDS_ESCAPE = /["\\'\p{Cc}\p{Cs}]/u;

function isPlain(text: string): boolean {
  return !NEEDS_ESCAPE.test(text);
}

function quote(text: string): string {
  return isPlain(text) ? `"${text}"` : JSON.stringify(text);
}
