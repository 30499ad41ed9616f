import { isJsonObject, type Json, type JsonObject } from '../../model/json.ts';

/** What tags and galaxies say. Tags of TLP stay among the labels: normalise/property.ts reads them. */
export interface TagParts {
  labels: string[];
  techniques: string[];
  /** A tag of normalise/confidence.ts. */
  confidence: string | null;
  malwareFamily: string | null;
}

const TECHNIQUE = /^misp-galaxy:mitre-(?:[a-z]+-)*attack-pattern="(?:.* - )?(T\d{4}(?:\.\d{3})?)"$/;
/** Galaxies of malware, those that are surest to name a family first. */
const FAMILY = [
  /^misp-galaxy:malpedia="(.+)"$/,
  /^misp-galaxy:mitre-(?:[a-z]+-)*malware="(.+?)(?: - S\d{4})?"$/,
  /^misp-galaxy:(?:android|backdoor|banker|botnet|cryptominers|ransomware|rat|stealer)="(.+)"$/,
  /^misp-galaxy:tool="(.+)"$/,
];
const CONFIDENCE =
  /^(?:misp:confidence-level|admiralty-scale:information-credibility|estimative-language:(?:likelihood-probability|confidence-in-analytic-judgment))="/;

/** The names of the tags of an event, an object or an attribute, with those of its galaxy clusters, each once. */
export function tagNames(holder: JsonObject): string[] {
  const clusters = objectsIn(holder['Galaxy']).flatMap((galaxy) => objectsIn(galaxy['GalaxyCluster']));
  const names = [...objectsIn(holder['Tag']).map(({ name }) => name), ...clusters.map(({ tag_name }) => tag_name)];
  return [...new Set(names.filter((name) => typeof name === 'string' && name !== ''))] as string[];
}

/** `names`: those of the attribute first, so that what it says of itself counts before what its event says. */
export function readTags(names: readonly string[]): TagParts {
  const parts: TagParts = { labels: [], techniques: [], confidence: null, malwareFamily: null };
  const family = familyIn(names);
  for (const name of names) {
    const technique = TECHNIQUE.exec(name)?.[1];
    if (technique !== undefined) parts.techniques.push(technique);
    else if (CONFIDENCE.test(name)) parts.confidence ??= name;
    else if (name !== family?.tag) parts.labels.push(name);
  }
  return { ...parts, malwareFamily: family?.name ?? null };
}

function familyIn(names: readonly string[]): { tag: string; name: string } | null {
  for (const pattern of FAMILY) {
    for (const tag of names) {
      const name = pattern.exec(tag)?.[1];
      if (name !== undefined) return { tag, name };
    }
  }
  return null;
}

export function objectsIn(list: Json | undefined): JsonObject[] {
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}
