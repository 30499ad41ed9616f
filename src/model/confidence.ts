/** Low/Med/High of STIX 2.1 appendix A: the words of SOC Defenders, with the lowest and highest confidence of each. */
export const confidenceBounds = { high: [70, 100], medium: [30, 69], low: [1, 29] } as const;
export type ConfidenceWord = keyof typeof confidenceBounds;

/** Highest first. */
const words = ['high', 'medium', 'low'] as const;

/** A confidence of 0 to 100 in the words of SOC Defenders' REST API and its Elastic guide. */
export function confidenceWordOf(confidence: number): ConfidenceWord | 'none' {
  return words.find((word) => confidence >= confidenceBounds[word][0]) ?? 'none';
}
