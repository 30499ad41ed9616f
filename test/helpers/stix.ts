import type { IndicatorEntry } from '../../src/model/entry.ts';
import { type JsonObject, parseJson } from '../../src/model/json.ts';
import { differentPublishers } from '../../src/model/publisher.ts';
import { markingId } from '../../src/stix/marking.ts';
import { formatPattern } from '../../src/stix/pattern.ts';
import type { RenderContext } from '../../src/stix/render.ts';

const time = (micros: number): string => new Date(Math.floor(micros / 1000)).toISOString();

/** The plain version of renderEntry: builds the object, which JSON.stringify then writes. `noun`: what the description calls the value. */
export function plainObject(
  entry: IndicatorEntry,
  { identityId, tlpVersion }: RenderContext,
  noun: string,
): JsonObject {
  const isCve = entry.type === 'cve';
  const kept: JsonObject = entry.kept === null ? {} : parseJson(entry.kept);
  const { object_marking_refs: markings = [], ...others } = kept;
  const references = entry.references === null ? [] : parseJson(entry.references);
  const all = isCve ? [{ source_name: 'cve', external_id: entry.value }, ...references] : references;
  const publishers = differentPublishers(parseJson(entry.sources).map(({ feed_name }) => feed_name)).slice(0, 3);
  const by = publishers.length === 0 ? '' : ` reported by ${publishers.join(', ')}`;
  return JSON.parse(
    JSON.stringify({
      type: isCve ? 'vulnerability' : 'indicator',
      spec_version: '2.1',
      id: entry.objectId,
      created_by_ref: identityId,
      created: time(entry.created),
      modified: time(entry.version),
      revoked: entry.revoked || undefined,
      name: isCve ? entry.value : (entry.name ?? entry.value),
      description: entry.description ?? `${noun}${by}.`,
      ...(isCve || 'indicator_types' in kept
        ? {}
        : { indicator_types: [entry.confidence === 0 ? 'unknown' : 'malicious-activity'] }),
      ...(isCve ? {} : { pattern: formatPattern(entry), pattern_type: 'stix', pattern_version: '2.1' }),
      valid_from: isCve ? undefined : time(entry.validFrom),
      valid_until: isCve || entry.validUntil === null ? undefined : time(entry.validUntil),
      confidence: entry.confidence ?? undefined,
      labels: [`tlp:${entry.tlp}`, ...(entry.labels === null ? [] : parseJson(entry.labels))],
      external_references: all.length === 0 ? undefined : all,
      object_marking_refs: [markingId(entry.tlp, tlpVersion), ...(Array.isArray(markings) ? markings : [])],
      ...others,
    }),
  );
}
