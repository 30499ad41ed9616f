/** STIX 2.1 appendix A, Low/Med/High: the words SOC Defenders uses, with the numbers they stand for. */
export const confidenceBounds = { high: [70, 100], medium: [30, 69], low: [1, 29] } as const;
export type ConfidenceWord = keyof typeof confidenceBounds;

/** A confidence of 0 to 100 in the words of SOC Defenders' REST API and its Elastic guide. */
export function confidenceWordOf(confidence: number): ConfidenceWord | 'none' {
  const words = Object.keys(confidenceBounds) as ConfidenceWord[];
  return words.find((word) => confidence >= confidenceBounds[word][0]) ?? 'none';
}
