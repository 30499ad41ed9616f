// slow (13 s): the whole contract on both engines
import t from 'tap';
import { storeEngines } from '../../src/store/registry.ts';
import { proveStore } from '../contracts/store.contract.ts';

for (const [name, engine] of Object.entries(storeEngines)) {
  t.test(name, async (t) => {
    t.equal(engine.name, name);
    await proveStore(t, engine);
  });
}
