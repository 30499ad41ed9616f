import { randomBytes, randomUUID } from 'node:crypto';
import type { AnalystVerdict } from '../../model/analyst-verdict.ts';
import type { Micros } from '../../model/clock.ts';
import type { Contribution } from '../../model/contribution.ts';
import type { Entry } from '../../model/entry.ts';
import type { ObservableKey } from '../../model/observable.ts';
import type { Observation, Rejection, StixObject } from '../../model/observation.ts';
import type { LeftOutReason, ServedKind } from '../../model/served.ts';
import type { AccountState, Checkpoint, Client, DeadLetter, FeedState } from '../../model/state.ts';
import type { Journal } from '../store.ts';
import { type Rows, Table } from './table.ts';

export interface FeedRow {
  feed: string;
  /** Was a state saved? */
  isSaved: boolean;
  state: Partial<FeedState>;
}

export interface ObservationRow {
  /** Never given to another row. */
  id: number;
  feed: string;
  observation: Observation;
  /** The content of the row that a pull brought first, as a text that is equal for equal content. */
  said: string;
  /** `observation` combines several rows: it is not what `said` says. */
  isAmended: boolean;
}

export interface ObjectRow {
  id: number;
  feed: string;
  object: StixObject;
  said: string;
}

export interface EndedRow {
  feed: string;
  id: string;
  version: Micros;
  at: Micros;
}

export interface RejectionRow {
  id: number;
  feed: string;
  rejection: Rejection;
  row: string;
  detail: string;
  firstAt: Micros;
  lastAt: Micros;
  count: number;
  /** The last pull that refused it. */
  pull: number;
}

/** Rows that were dropped for newer ones. */
export interface DroppedRow {
  feed: string;
  reason: string;
  isNote: boolean;
  pull: number;
  count: number;
}

export interface VerdictRow {
  journal: string;
  feed: string;
  of: 'observation' | 'object';
  /** A key, or an object's id. */
  name: string;
  kind: ServedKind;
  reason: LeftOutReason | null;
}

export interface JournalRow extends Journal {
  /** The last date ever given out, used or not. */
  stamped: Micros;
}

export interface EntryRow {
  journal: string;
  entry: Entry;
}

/** Entries superseded or purged at one date. */
export interface ChangeRow {
  journal: string;
  date: Micros;
  count: number;
}

export interface PointerRow {
  journal: string;
  id: string;
  keys: ObservableKey[];
}

export interface Tables {
  feeds: FeedRow;
  observations: ObservationRow;
  objects: ObjectRow;
  ended: EndedRow;
  rejections: RejectionRow;
  dropped: DroppedRow;
  verdicts: VerdictRow;
  standingVerdicts: AnalystVerdict;
  endedVerdicts: AnalystVerdict;
  journals: JournalRow;
  entries: EntryRow;
  changes: ChangeRow;
  pointers: PointerRow;
  accounts: AccountState;
  clients: Client;
  checkpoints: Checkpoint;
  deadLetters: DeadLetter;
  contributions: Contribution;
}

/** All tables as one reader sees them. */
export type View = { readonly [Name in keyof Tables]: Rows<Tables[Name]> };

/** Everything that one store keeps. The transaction of the only writer works on the tables, readers on what is committed. */
export class Database {
  readonly namespace = randomUUID();
  readonly cursorSecret = randomBytes(32).toString('hex');
  readonly tables = {
    feeds: new Table<FeedRow>(),
    observations: new Table<ObservationRow>(),
    objects: new Table<ObjectRow>(),
    ended: new Table<EndedRow>(),
    rejections: new Table<RejectionRow>(),
    dropped: new Table<DroppedRow>(),
    verdicts: new Table<VerdictRow>(),
    standingVerdicts: new Table<AnalystVerdict>(),
    endedVerdicts: new Table<AnalystVerdict>(),
    journals: new Table<JournalRow>(),
    entries: new Table<EntryRow>(),
    changes: new Table<ChangeRow>(),
    pointers: new Table<PointerRow>(),
    accounts: new Table<AccountState>(),
    clients: new Table<Client>(),
    checkpoints: new Table<Checkpoint>(),
    deadLetters: new Table<DeadLetter>(),
    contributions: new Table<Contribution>(),
  } satisfies View;
  readonly committed: View = Object.fromEntries(
    Object.entries(this.tables).map(([name, table]) => [name, table.committed]),
  ) as unknown as View;
  #lastId = 0;

  /** A number that no row and no pull had before. */
  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** What is committed now, whatever is committed later. */
  copy(): View {
    return Object.fromEntries(
      Object.entries(this.tables).map(([name, table]) => [name, table.copy()]),
    ) as unknown as View;
  }

  end(outcome: 'commit' | 'rollback'): void {
    for (const table of Object.values(this.tables)) table.end(outcome);
  }
}

export type WritableTables = Database['tables'];
