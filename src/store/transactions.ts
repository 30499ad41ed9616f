import { AsyncLocalStorage } from 'node:async_hooks';
import type { GatewayError } from '../model/error.ts';
import { createSemaphore } from '../model/semaphore.ts';
import { misuse } from './misuse.ts';
import type { Transaction, Writer } from './store.ts';
import { promised, type Sync } from './synchronous.ts';

/** What a synchronous engine does for its transactions. */
export interface TransactionParts {
  /** The same functions serve every transaction. */
  methods: Sync<Transaction>;
  begin(): void;
  commit(): void;
  /** Runs once after `begin`, whatever happened; undoes everything unless it was committed. */
  end(outcome: 'commit' | 'rollback'): void;
  /** Of what a method threw. */
  asError(error: unknown): GatewayError;
  /** Of what `transaction` throws: errors of the engine become GatewayErrors, those of `work` pass through. */
  asFailure(error: unknown): unknown;
}

/** What lives as long as one transaction. */
interface Scope {
  isOpen: boolean;
  /** The first call that failed. What it left half done must never be committed, even if `work` swallows the error. */
  failure: Error | null;
}

/** Transactions of one writer, one after the other. */
export class TransactionQueue implements Pick<Writer, 'transaction' | 'close'> {
  readonly #parts: TransactionParts;
  readonly #running = new AsyncLocalStorage<Scope>();
  readonly #semaphore = createSemaphore(1);
  #isClosed = false;

  constructor(parts: TransactionParts) {
    this.#parts = parts;
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (this.#running.getStore()?.isOpen) throw misuse('transactions do not nest');
    if (this.#isClosed) throw misuse('the store is closed');
    return this.#semaphore
      .run(() => this.#run(work))
      .catch((error: unknown) => {
        throw this.#parts.asFailure(error);
      });
  }

  /** Waits for transactions that were asked for; later ones are refused. */
  async close(): Promise<void> {
    if (this.#running.getStore()?.isOpen) throw misuse('a transaction cannot close its store');
    this.#isClosed = true;
    await this.#semaphore.run(async () => undefined);
  }

  async #run<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const { begin, commit, end } = this.#parts;
    begin();
    const scope: Scope = { isOpen: true, failure: null };
    let outcome: 'commit' | 'rollback' = 'rollback';
    try {
      const result = await this.#running.run(scope, () => work(this.#methodsFor(scope)));
      if (scope.failure !== null) throw scope.failure;
      commit();
      outcome = 'commit';
      return result;
    } finally {
      scope.isOpen = false;
      end(outcome);
    }
  }

  #methodsFor(scope: Scope): Transaction {
    const { methods, asError } = this.#parts;
    const around = <R>(call: () => R): R => {
      if (!scope.isOpen) throw misuse('the transaction is over');
      try {
        return call();
      } catch (error) {
        scope.failure ??= asError(error);
        throw error;
      }
    };
    return promised<Transaction>(methods, around, asError);
  }
}
