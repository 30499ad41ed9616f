import type { Entry, IndicatorEntry } from '../model/entry.ts';
import type { JsonText } from '../model/json.ts';
import { formatMillis } from '../model/timestamp.ts';
import { Utf8Buffer } from '../model/utf8-buffer.ts';
import { markingId, type TlpVersion } from './marking.ts';
import { escapeLiteral, patternHead, patternTail } from './pattern.ts';
import { describe, indicatorTypes, keptMarkings, keptMembers } from './properties.ts';

export interface RenderContext {
  /** `created_by_ref` of all that is issued: the id of the producing identity. */
  identityId: string;
  /** Which markings are referred to; 2 unless readers know only TLP 1. */
  tlpVersion?: TlpVersion | undefined;
}

/**
 * The JSON text of one STIX 2.1 object: an indicator or vulnerability from its columns, anything else as it came. Written as
 * text because nothing needs the object in between; columns that hold JSON are spliced in as they are.
 */
export function renderEntry(entry: Entry, context: RenderContext): JsonText {
  if (entry.kind === 'object') return entry.raw;
  return (entry.type === 'cve' ? vulnerability(entry, context) : indicator(entry, context)) as JsonText;
}

/** STIX 2.1 section 4.7. */
function indicator(entry: IndicatorEntry, context: RenderContext): string {
  const { type, value, validUntil, references } = entry;
  const types = indicatorTypes(entry);
  const literal = isPlain(value) ? value : JSON.stringify(escapeLiteral(value)).slice(1, -1);
  let text = `{"type":"indicator",${issued(entry, context)}`;
  text += `,"name":${quote(entry.name ?? value)},"description":${describe(entry)}`;
  if (types !== null) text += `,"indicator_types":${types}`;
  text += `,"pattern":"${patternHead(entry)}${literal}${patternTail(type)}","pattern_type":"stix","pattern_version":"2.1"`;
  text += `,"valid_from":"${formatMillis(entry.validFrom)}"`;
  if (validUntil !== null) text += `,"valid_until":"${formatMillis(validUntil)}"`;
  text += graded(entry);
  if (!isEmptyList(references)) text += `,"external_references":${references}`;
  return text + marked(entry, context);
}

/** STIX 2.1 section 4.19: a CVE has no pattern and no validity; its name is its id, and `cve` its first reference. */
function vulnerability(entry: IndicatorEntry, context: RenderContext): string {
  const { value, references } = entry;
  let text = `{"type":"vulnerability",${issued(entry, context)}`;
  text += `,"name":${quote(value)},"description":${describe(entry)}`;
  text += graded(entry);
  text += `,"external_references":[{"source_name":"cve","external_id":"${value}"}${others(references)}`;
  return text + marked(entry, context);
}

/** How all that is issued begins (STIX 2.1 section 3.2). Only tombstones carry `revoked`: absent means false. */
function issued({ objectId, created, version, revoked }: IndicatorEntry, { identityId }: RenderContext): string {
  let text = `"spec_version":"2.1","id":"${objectId}","created_by_ref":"${identityId}"`;
  text += `,"created":"${formatMillis(created)}","modified":"${formatMillis(version)}"`;
  return revoked ? `${text},"revoked":true` : text;
}

/** The level is a label as well: it stays readable for tools that know no markings. */
function graded({ confidence, labels, tlp }: IndicatorEntry): string {
  const text = `,"labels":["tlp:${tlp}"${others(labels)}`;
  return confidence === null ? text : `,"confidence":${confidence}${text}`;
}

/** How all that is issued ends: with its markings, and with what upstream says that Sluice doesn't model. */
function marked({ kept, tlp }: IndicatorEntry, { tlpVersion }: RenderContext): string {
  const id = markingId(tlp, tlpVersion);
  return `,"object_marking_refs":["${id}"${others(keptMarkings(kept))}${keptMembers(kept)}}`;
}

/** The rest of a JSON list behind an item of ours, which comes first so that it is found even where readers cut. */
function others(list: string | null): string {
  return isEmptyList(list) ? ']' : `,${(list as string).slice(1)}`;
}

function isEmptyList(list: string | null): boolean {
  return list === null || list.length <= 2;
}

/** Text that needs an escape in JSON or in a pattern, or is no well-formed Unicode. */
const NEEDS_ESCAPE = /["\\'\p{Cc}\p{Cs}]/u;

function isPlain(text: string): boolean {
  return !NEEDS_ESCAPE.test(text);
}

function quote(text: string): string {
  return isPlain(text) ? `"${text}"` : JSON.stringify(text);
}

/** Memory that writers used before; a page of 1000 objects fits, and more of it is not worth keeping. */
const spare: Buffer[] = [];
const SPARE_BYTES = 1 << 21;
const MAX_SPARE = 4;

/**
 * Collects objects as UTF-8 with commas between them, one by one into memory that is used again: the text of a whole page would
 * be put together and then walked through piece by piece, and every megabyte that comes and goes makes V8 collect sooner.
 */
export class ListWriter {
  readonly #context: RenderContext;
  #list = new Utf8Buffer(spare.pop() ?? Buffer.allocUnsafeSlow(SPARE_BYTES));

  constructor(context: RenderContext) {
    this.#context = context;
  }

  add(entry: Entry): void {
    const text = renderEntry(entry, this.#context);
    this.#list.add(this.#list.length === 0 ? text : `,${text}`);
  }

  /** What was collected, between these texts. The writer is spent. */
  take(opening: string, closing: string): Buffer {
    const { buffer } = this.#list;
    const list = Buffer.concat([Buffer.from(opening), this.#list.bytes(), Buffer.from(closing)]);
    if (buffer.length === SPARE_BYTES && spare.length < MAX_SPARE) spare.push(buffer);
    this.#list = new Utf8Buffer(Buffer.alloc(0));
    return list;
  }
}
