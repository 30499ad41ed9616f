import type { Micros } from '../../model/clock.ts';
import type { Contribution } from '../../model/contribution.ts';

/** What became of the objects that clients added, for as long as they may ask. */
export interface ContributionReader {
  /** Null for an unknown one. */
  contribution(id: string): Promise<Contribution | null>;
}

export interface ContributionWriter {
  /** Each id once. */
  saveContribution(contribution: Contribution): Promise<void>;
  /** Removes all from before this time, and of this client all but the newest `most`. */
  forgetContributions(client: string, before: Micros, most: number): Promise<void>;
}
