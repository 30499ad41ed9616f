/** Traffic Light Protocol 2.0 (FIRST), mildest first: the order is the rank. */
export const tlpLevels = ['clear', 'green', 'amber', 'amber+strict', 'red'] as const;
export type Tlp = (typeof tlpLevels)[number];

const rank: Record<Tlp, number> = { clear: 0, green: 1, amber: 2, 'amber+strict': 3, red: 4 };

/** True when `level` is not above the ceiling. */
export function isWithin(level: Tlp, ceiling: Tlp): boolean {
  return rank[level] <= rank[ceiling];
}

export function strictest(a: Tlp, b: Tlp): Tlp {
  return rank[a] >= rank[b] ? a : b;
}

/** The stricter of two levels; null means none. */
export function stricter(a: Tlp | null, b: Tlp | null): Tlp | null {
  return a === null ? b : b === null ? a : strictest(a, b);
}

/** Levels by their words. `white` is `clear` in TLP 1. */
const words = new Map<string, Tlp>([...tlpLevels.map((tlp) => [tlp, tlp] as const), ['white', 'clear']]);
const PREFIX = /^tlp[\s:=_-]+(?:v?[12](?:\.0)?[\s:=_-]+)?"?([a-z][a-z+ _-]*?)"?$/i;

/** The level that a word names, with or without `TLP:` before it; null for other words. */
export function tlpOfWord(word: string): Tlp | null {
  const bare = (PREFIX.exec(word)?.[1] ?? word).toLowerCase();
  return words.get(bare) ?? words.get(bare.replace(/(?:\s*\+\s*|[\s_-]+)(?=strict$)/, '+')) ?? null;
}

const CLAIM = /^tlp(?:[:=_-]|\s+[:=_-])/i;

/**
 * The level of a text that begins with `TLP`, such as a label. A text that is a TLP marking of no known level is red, so that nobody
 * sees what may be meant for fewer readers. Null for other texts.
 */
export function tlpOfTag(text: string): Tlp | null {
  if (!/^tlp/i.test(text)) return null;
  if (PREFIX.test(text)) {
    const level = tlpOfWord(text);
    if (level !== null) return level;
  }
  return CLAIM.test(text) ? 'red' : null;
}
