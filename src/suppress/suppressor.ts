import type { JournalPolicy } from '../model/definition.ts';
import type { Observable } from '../model/observable.ts';

/** The contract of suppressors: what keeps an indicator out of a journal, whoever says it. Types only. */
export interface Suppressor {
  /** Returns why an observable is suppressed; null when it isn't. The same observable always gets the same verdict. */
  match(observable: Observable): Verdict | null;
}

export interface Verdict {
  /** One sentence for a person. */
  reason: string;
}

/** A kind of suppressor, as the registry names it. */
export interface SuppressorKind {
  /** Makes the suppressor that a journal's policy asks for; null: it asks for none. */
  open(policy: JournalPolicy): Suppressor | null;
}
