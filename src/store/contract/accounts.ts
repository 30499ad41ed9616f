import type { AccountState } from '../../model/state.ts';

/** How much of the quota of upstream accounts is spent. */
export interface AccountReader {
  /** The state of an account; an unused one where nothing was saved. */
  account(name: string): Promise<AccountState>;
  /** All saved accounts, ascending by name. */
  accounts(): Promise<AccountState[]>;
}

export interface AccountWriter {
  saveAccount(state: AccountState): Promise<void>;
}
