import type { Micros } from './clock.ts';
import type { ClientRate } from './definition.ts';
import type { ErrorCode } from './error.ts';
import type { ObservableType } from './observable.ts';
import type { AccountState, Client, FeedState, RejectionCount, StoredRejection } from './state.ts';
import type { Tlp } from './tlp.ts';

/**
 * What commands and the console ask of the one process that writes. Answers are plain JSON: they cross a thread and a
 * socket. Each method throws GatewayError.
 */
export interface Control {
  /** Polls a feed now, as far as its account's budget allows. Throws `not-found` for an unknown feed. */
  poll(feed: string): Promise<PollReport>;
  status(): Promise<StatusReport>;
  rejections(feed: string, limit: number): Promise<{ counts: RejectionCount[]; rows: StoredRejection[] }>;
  /** Throws `unprocessable` when the name is taken or a collection is unknown. */
  addClient(client: NewClient): Promise<IssuedClient>;
  listClients(): Promise<Client[]>;
  /** Its keys stop within a second. Throws `not-found`. */
  revokeClient(name: string): Promise<void>;
}

export interface NewClient {
  name: string;
  /** Null: all, those added later as well. */
  collections: string[] | null;
  tlp: Tlp;
  rate: ClientRate;
}

/** The only time the key is told. */
export interface IssuedClient extends NewClient {
  key: string;
}

export interface PollReport {
  feed: string;
  outcome: 'whole' | 'unchanged' | 'failed' | 'held-back';
  /** Upstream requests sent. */
  requests: number;
  accepted: number;
  rejected: number;
  /** Journal entries appended, over all journals: live versions and tombstones. */
  entries: number;
  withdrawn: number;
  error: { code: ErrorCode; message: string } | null;
}

export interface StatusReport {
  version: string;
  startedAt: Micros;
  now: Micros;
  feeds: (FeedState & {
    account: string | null;
    pools: string[];
    stale: boolean;
    /** Why it isn't polled; null when it is. */
    idle: 'disabled' | 'no-key' | null;
  })[];
  accounts: AccountState[];
  collections: {
    alias: string;
    id: string;
    title: string;
    journal: string;
    /** Newest entry of the journal. */
    head: Micros | null;
    live: Partial<Record<ObservableType, number>>;
  }[];
}
