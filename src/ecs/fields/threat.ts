import { confidenceWordOf } from '../../model/confidence.ts';
import type { ObservableType } from '../../model/observable.ts';
import { formatMillis } from '../../model/timestamp.ts';
import { nonEmpty, type ParsedEntry, timeOf } from '../parsed-entry.ts';
import { type EcsRow, patterned } from '../row.ts';

/** ECS `threat.indicator.type`. It has no word for a vulnerability, which is described by `vulnerability.*`. */
const indicatorTypes: Record<Exclude<ObservableType, 'cve'>, string> = {
  ipv4: 'ipv4-addr',
  ipv6: 'ipv6-addr',
  domain: 'domain-name',
  url: 'url',
  md5: 'file',
  sha1: 'file',
  sha256: 'file',
  sha512: 'file',
  email: 'email-addr',
  asn: 'autonomous-system',
  'registry-key': 'windows-registry-key',
  x509: 'x509-certificate',
  'file-name': 'file',
};

/** ECS `threat.indicator.confidence` by STIX 2.1 appendix A, None/Low/Med/High. */
export function confidenceWord(confidence: number | null): string {
  if (confidence === null) return 'Not Specified';
  if (confidence === 0) return 'None';
  return confidence < 30 ? 'Low' : confidence < 70 ? 'Medium' : 'High';
}

/** ECS Threat: feed, technique, and the fields that every indicator has. */
export const threatRows: readonly EcsRow[] = [
  { field: 'threat.feed.name', type: 'keyword', clause: 'ECS Threat', fixed: (c) => c.feed.name },
  { field: 'threat.feed.reference', type: 'keyword', clause: 'ECS Threat', fixed: (c) => c.feed.reference },
  { field: 'threat.feed.description', type: 'keyword', clause: 'ECS Threat', fixed: (c) => c.feed.description },
  { field: 'threat.feed.dashboard_id', type: 'keyword', clause: 'ECS Threat', fixed: (c) => c.feed.dashboardId },
  {
    field: 'threat.technique.id',
    type: 'keyword',
    clause: 'ECS Threat: ATT&CK techniques, without their sub-techniques',
    of: (parsed) => nonEmpty([...new Set(techniquesOf(parsed).map((id) => id.slice(0, 5)))]),
  },
  {
    field: 'threat.technique.subtechnique.id',
    type: 'keyword',
    clause: 'ECS Threat',
    of: (parsed) => nonEmpty(techniquesOf(parsed).filter((id) => id.includes('.'))),
  },
  {
    field: 'threat.software.name',
    type: 'keyword',
    clause: 'ECS Threat: the malware family, of the strongest source that names one',
    of: familyOf,
  },
  {
    field: 'threat.software.type',
    type: 'keyword',
    clause: 'ECS Threat, expected values',
    of: (parsed) => familyOf(parsed) && 'Malware',
  },
  {
    field: 'threat.indicator.type',
    type: 'keyword',
    clause: 'ECS Threat, expected values',
    only: patterned,
    of: ({ entry }) => indicatorTypes[entry.type as keyof typeof indicatorTypes],
  },
  {
    field: 'threat.indicator.name',
    type: 'keyword',
    clause: 'ECS Threat: a display name, which may be the value; a network is found by it',
    of: ({ entry }) => entry.value,
  },
  { field: 'threat.indicator.id', type: 'keyword', clause: 'ECS Threat', of: ({ entry }) => [entry.objectId] },
  {
    field: 'threat.indicator.description',
    type: 'keyword',
    clause: 'ECS Threat',
    of: ({ entry }) => entry.description ?? undefined,
  },
  {
    field: 'threat.indicator.confidence',
    type: 'keyword',
    clause:
      "ECS Threat, expected values; STIX 2.1 appendix A. In compat the guide's words, which its poller and its queries have",
    of: ({ entry: { confidence }, context }) => {
      if (context.target !== 'compat') return confidenceWord(confidence);
      return confidence === null ? undefined : confidenceWordOf(confidence);
    },
  },
  {
    field: 'threat.indicator.provider',
    type: 'keyword',
    clause: 'ECS Threat: one name; the strongest source. All are in sluice.sources',
    of: ({ claims }) => claims[0]?.feed_name,
  },
  {
    field: 'threat.indicator.port',
    type: 'long',
    clause: 'ECS Threat: the port at an address or host, of the strongest source that names one',
    of: ({ claims }) => claims.find(({ port }) => port !== undefined)?.port,
  },
  {
    field: 'threat.indicator.reference',
    type: 'keyword',
    clause: 'ECS Threat: a link about this indicator; a link about a technique is not',
    of: ({ references }) => references.find((each) => each.url && each.source_name !== 'mitre-attack')?.url,
  },
  {
    field: 'threat.indicator.first_seen',
    type: 'date',
    clause: 'ECS Threat: first sighting that a source reports; absent when none says',
    of: ({ entry }) => timeOf(entry.firstSeen),
  },
  {
    field: 'threat.indicator.last_seen',
    type: 'date',
    clause: 'ECS Threat: last sighting that a source reports; absent when none says',
    of: ({ entry }) => timeOf(entry.lastSeen),
  },
  {
    field: 'threat.indicator.modified_at',
    type: 'date',
    clause: 'ECS Threat: STIX modified',
    of: ({ entry }) => formatMillis(entry.version),
  },
  {
    field: 'threat.indicator.sightings',
    type: 'long',
    clause: 'ECS Threat: times it was observed; each feed that reports it counts once',
    of: ({ claims }) => (claims.length === 0 ? undefined : claims.length),
  },
  {
    field: 'threat.indicator.marking.tlp',
    type: 'keyword',
    clause: 'ECS Threat, expected values',
    of: ({ entry }) => entry.tlp.toUpperCase(),
  },
  { field: 'threat.indicator.marking.tlp_version', type: 'keyword', clause: 'ECS Threat', fixed: () => '2.0' },
];

function familyOf({ claims }: ParsedEntry): string | undefined {
  return claims.find((claim) => claim.malware_family !== undefined)?.malware_family;
}

function techniquesOf({ claims }: ParsedEntry): string[] {
  return [...new Set(claims.flatMap((claim) => claim.techniques ?? []))];
}
