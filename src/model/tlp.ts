/** Traffic Light Protocol 2.0 (FIRST), mildest first: the order is the rank. */
export const tlpLevels = ['clear', 'green', 'amber', 'amber+strict', 'red'] as const;
export type Tlp = (typeof tlpLevels)[number];

const rank: Record<Tlp, number> = { clear: 0, green: 1, amber: 2, 'amber+strict': 3, red: 4 };

/** May something marked `level` be shown under this ceiling? */
export function isWithin(level: Tlp, ceiling: Tlp): boolean {
  return rank[level] <= rank[ceiling];
}

export function strictest(a: Tlp, b: Tlp): Tlp {
  return rank[a] >= rank[b] ? a : b;
}
