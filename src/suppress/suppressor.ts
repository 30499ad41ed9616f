import type { JournalDefinition, WarningMode } from '../model/definition.ts';
import type { Observable } from '../model/observable.ts';

/** The contract of suppressors: what keeps an indicator out of a journal, or warns of it, whoever says it. Types only. */
export interface Suppressor {
  /** Hash of all that verdicts come from besides the policy: another one has the journal brought up to date. Absent: nothing else. */
  version?: string;
  /** What it names stays out although an analyst confirms it. */
  isFinal?: true;
  /** Returns the verdict on an observable; null: it has nothing against it. The same observable always gets the same verdict. */
  match(observable: Observable): Verdict | null;
}

export interface Verdict {
  /** `drop`: it stays out. `tag`: it gets the labels. `lower`: that, and its confidence is lowered. */
  mode: WarningMode;
  /** Whose verdict it is, for a person: `warning list public-dns-v4`, `own assets`. */
  rule: string;
  /** What is listed and matched it. */
  entry: string;
  /** One sentence for a person. */
  reason: string;
  /** One sentence: what to write into the configuration to have it served. */
  admit: string;
  /** No feed's admit list lifts it. */
  isFirm?: true;
  /** Of the lists that name it, where it is served all the same. */
  labels: readonly string[];
}

/** A kind of suppressor, as the registry names it. */
export interface SuppressorKind {
  /** Makes the suppressor that a journal's policy asks for; null: it asks for none. */
  open(journal: Pick<JournalDefinition, 'name' | 'policy'>): Suppressor | null;
}
