import type { Test } from 'tap';
import type { StoreEngine } from '../../src/store/engine.ts';
import { proveAnalystVerdicts } from './store/analyst-verdicts.ts';
import { proveJournals } from './store/journals.ts';
import { proveObservations } from './store/observations.ts';
import { provePages } from './store/pages.ts';
import { proveRanges } from './store/ranges.ts';
import { proveRelations } from './store/relations.ts';
import { proveState } from './store/state.ts';
import { proveTransactions } from './store/transactions.ts';
import { proveVerdicts } from './store/verdicts.ts';
import { proveViews } from './store/views.ts';

/** What every storage engine has to do. Knows none of them: everything goes through the contract. */
export async function proveStore(t: Test, engine: StoreEngine): Promise<void> {
  await t.test('transactions', (t) => proveTransactions(t, engine));
  await t.test('journals', (t) => proveJournals(t, engine));
  await t.test('views', (t) => proveViews(t, engine));
  await t.test('pages', (t) => provePages(t, engine));
  await t.test('verdicts', (t) => proveVerdicts(t, engine));
  await t.test('verdicts of analysts', (t) => proveAnalystVerdicts(t, engine));
  await t.test('observations', (t) => proveObservations(t, engine));
  await t.test('relations', (t) => proveRelations(t, engine));
  await t.test('ranges', (t) => proveRanges(t, engine));
  await t.test('state', (t) => proveState(t, engine));
}
