import type { StoreFault } from '../model/error.ts';
import type { AccountReader, AccountWriter } from './contract/accounts.ts';
import type { AnalystVerdictReader, AnalystVerdictWriter } from './contract/analyst-verdicts.ts';
import type { CheckpointReader, CheckpointWriter } from './contract/checkpoints.ts';
import type { ClientReader, ClientWriter } from './contract/clients.ts';
import type { ContributionReader, ContributionWriter } from './contract/contributions.ts';
import type { FeedReader, FeedWriter } from './contract/feeds.ts';
import type { IdentityReader } from './contract/identity.ts';
import type { JournalReader, JournalWriter } from './contract/journals.ts';
import type { ObjectWriter } from './contract/objects.ts';
import type { EndedVersionWriter, ObservationWriter } from './contract/observations.ts';
import type { PageReader } from './contract/pages.ts';
import type { Pull, PullWriter } from './contract/pulls.ts';
import type { RejectionReader, RejectionWriter } from './contract/rejections.ts';
import type { RelationWriter } from './contract/relations.ts';
import type { VerdictReader, VerdictWriter } from './contract/verdicts.ts';

export type { CommitSignal } from './contract/commit-signal.ts';
export type { AppendEntry, Journal } from './contract/journals.ts';
export type { Observed, StoredObservation } from './contract/observations.ts';
export type { EntryPage, LiveQuery, PageQuery, PageValidity } from './contract/pages.ts';
export type { Pull } from './contract/pulls.ts';

/**
 * The storage contract; contract/ has a file per subject. It knows no engine: everything is asynchronous, batched and named in
 * the words of model/.
 *
 * One process holds one writer. Any number of readers see only committed state, each call one consistent state. Outside of a
 * transaction `page`, `visitPage`, `newest`, `live` and `countMatching` may read a long journal in steps of some milliseconds, each
 * step in a state of its own, and let the event loop go on in between.
 * Every method throws GatewayError when the engine fails, with the engine's error as its cause: `store-full` when its disk is full,
 * `store-damaged` when what it kept can't be read back, else `store-failed`; `internal` when the caller breaks the contract.
 * Every engine is proven by test/contracts/store.contract.ts.
 *
 * Texts hold any characters, NUL and lone surrogates included; an engine whose own texts can't must encode them.
 */
interface Queries
  extends JournalReader,
    PageReader,
    FeedReader,
    RejectionReader,
    VerdictReader,
    AnalystVerdictReader,
    AccountReader,
    ClientReader,
    CheckpointReader,
    ContributionReader,
    IdentityReader {}

export interface Reader extends Queries {
  /** While this returns the same number, every query returns the same answer. Null: unknown at present. */
  state(): number | null;
  /** What is known to be wrong with the store as a whole; a full disk until it has room again. Null: nothing is. */
  fault(): StoreFault | null;
  /**
   * A reader of the store as it is now, whatever is committed later, for what takes many queries. Close it within a minute or so: the
   * engine can't take back room that it still needs.
   */
  snapshot(): Promise<Omit<Reader, 'snapshot'>>;
  close(): Promise<void>;
}

export interface Writer extends Reader {
  /**
   * Runs `work` in one transaction: everything in it is kept, or nothing, and readers see it only afterwards. Transactions queue and
   * never nest (`internal`). When `work` throws, everything in it is undone and the error passes through. A call of `tx` that
   * failed undoes the transaction even when `work` catches its error.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Starts taking in the rows of a feed. */
  beginPull(feed: string): Promise<Pull>;
}

/** Reads what it has written so far. Throws `internal` after its transaction has ended. */
export interface Transaction
  extends Queries,
    ObservationWriter,
    EndedVersionWriter,
    ObjectWriter,
    PullWriter,
    RelationWriter,
    RejectionWriter,
    VerdictWriter,
    AnalystVerdictWriter,
    JournalWriter,
    FeedWriter,
    AccountWriter,
    ClientWriter,
    CheckpointWriter,
    ContributionWriter {}
