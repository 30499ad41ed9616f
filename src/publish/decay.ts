import type { Micros } from '../model/clock.ts';

/**
 * MISP's polynomial (MISP, DecayingModelsFormulas/Polynomial.php; arXiv 1902.03914): the score of an indicator falls from its base,
 * the confidence that was put in it, to nothing at the end of its lifetime. At a speed of 1 it falls evenly, the higher the speed
 * the more of it falls at the beginning.
 */
export interface Decay {
  lifetime: Micros;
  speed: number;
}

/** The score at an age. Where MISP has none before the last sighting (a clock that is behind), it is the base here. */
export function scoreAt(base: number, { lifetime, speed }: Decay, age: Micros): number {
  if (age <= 0) return base;
  return age >= lifetime ? 0 : base * (1 - (age / lifetime) ** (1 / speed));
}

/** The age at which the score falls under `bar`: 0 where the base is no higher. */
export function ageAtScore(base: number, { lifetime, speed }: Decay, bar: number): Micros {
  return base <= bar ? 0 : Math.round(lifetime * (1 - bar / base) ** speed);
}
