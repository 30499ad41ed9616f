import type { WithdrawalReason } from './entry.ts';

/** What a changed configuration would do to what readers see: plain JSON, for it crosses a thread and a socket. */
export interface PlanReport {
  collections: PlannedCollection[];
  /** Collections of the configuration in force that the changed one no longer has. `alias` null: nobody knows its name any more. */
  dropped: { alias: string | null; id: string; live: number }[];
  /** Feeds that the store knows nothing of yet: what they would add shows after their first poll. */
  newFeeds: string[];
  /** Feeds whose rows the store holds, and would forget. */
  droppedFeeds: string[];
  /** Warnings on the changed configuration, as `check-config` gives them. */
  warnings: string[];
}

export interface PlannedCollection {
  alias: string;
  id: string;
  /**
   * `new`: it has no readers yet. `other-ids`: its indicators come from another journal, so all of them get other ids, and readers that
   * polled before keep what they have. `changed`: it keeps its ids. `same`: nothing changes.
   */
  change: 'new' | 'other-ids' | 'changed' | 'same';
  /** Live indicators now. */
  live: number;
  /** Indicators that would enter, and those that would leave. */
  adds: number;
  withdraws: number;
  /** Of these, so many because `types` no longer names their type. Readers who have them are not told. */
  unshown: number;
  /** Indicators that stay and get another version. */
  changes: number;
  /** Other STIX objects that would enter, change or leave. */
  objects: number;
  examples: { adds: string[]; withdraws: { value: string; reason: WithdrawalReason }[] };
}
