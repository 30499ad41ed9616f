/**
 * Words of feeds for confidence, on STIX's scale of 0 to 100 (STIX 2.1 section 3.2): those of its Appendix A, in all five scales,
 * and of MISP's taxonomies. Null: the feed says that it doesn't know.
 */
const words: Record<string, number | null> = {
  // None / Low / Med / High.
  'not specified': null,
  unknown: null,
  none: 0,
  low: 15,
  med: 50,
  medium: 50,
  moderate: 50,
  high: 85,
  // Admiralty credibility.
  '1 - confirmed by other sources': 90,
  '2 - probably true': 70,
  '3 - possibly true': 50,
  '4 - doubtful': 30,
  '5 - improbable': 10,
  '6 - truth cannot be judged': null,
  'confirmed by other sources': 90,
  'probably true': 70,
  'possibly true': 50,
  doubtful: 30,
  'truth cannot be judged': null,
  // Words of Estimative Probability.
  impossible: 0,
  'highly unlikely/almost certainly not': 10,
  'unlikely/probably not': 30,
  'even chance': 50,
  'likely/probable': 70,
  'highly likely/almost certain': 90,
  certain: 100,
  // DNI.
  'almost no chance / remote': 5,
  'very unlikely / highly improbable': 15,
  'unlikely / improbable': 30,
  'roughly even chance / roughly even odds': 50,
  'likely / probable': 70,
  'very likely / highly probable': 85,
  'almost certain / nearly certain': 95,
  // MISP taxonomies.
  'misp:confidence-level="completely-confident"': 100,
  'misp:confidence-level="usually-confident"': 75,
  'misp:confidence-level="fairly-confident"': 50,
  'misp:confidence-level="rarely-confident"': 25,
  'misp:confidence-level="unconfident"': 0,
  'misp:confidence-level="confidence-cannot-be-evaluated"': null,
  'admiralty-scale:information-credibility="1"': 90,
  'admiralty-scale:information-credibility="2"': 70,
  'admiralty-scale:information-credibility="3"': 50,
  'admiralty-scale:information-credibility="4"': 30,
  'admiralty-scale:information-credibility="5"': 10,
  'admiralty-scale:information-credibility="6"': null,
  'estimative-language:likelihood-probability="almost-no-chance"': 5,
  'estimative-language:likelihood-probability="very-unlikely"': 15,
  'estimative-language:likelihood-probability="unlikely"': 30,
  'estimative-language:likelihood-probability="roughly-even-chance"': 50,
  'estimative-language:likelihood-probability="likely"': 70,
  'estimative-language:likelihood-probability="very-likely"': 85,
  'estimative-language:likelihood-probability="almost-certain"': 95,
  'estimative-language:confidence-in-analytic-judgment="low"': 15,
  'estimative-language:confidence-in-analytic-judgment="moderate"': 50,
  'estimative-language:confidence-in-analytic-judgment="high"': 85,
};
const table = new Map(Object.entries(words));

const NUMBER = /^(\d{1,3}(?:\.\d{1,9})?)\s?%?$/;

/**
 * Returns a whole number from 0 to 100; null where the feed doesn't know; undefined for what can't be read. A fraction below 1
 * can't be read: it may be 0.85 of 1, or less than one of 100.
 */
export function readConfidence(value: unknown): number | null | undefined {
  if (value === null || value === undefined || value === '') return null;
  if (typeof value === 'number') return inScale(value);
  if (typeof value !== 'string' || value.length > 100) return undefined;
  const text = value.trim().toLowerCase();
  if (text === '') return null;
  const known = table.get(text);
  if (known !== undefined) return known;
  const digits = NUMBER.exec(text)?.[1];
  return digits === undefined ? undefined : inScale(Number(digits));
}

function inScale(value: number): number | undefined {
  if (!(value >= 0 && value <= 100) || (value > 0 && value < 1)) return undefined;
  return Math.round(value);
}
