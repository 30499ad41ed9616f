// slow (13 s): the whole contract on both engines
import t from 'tap';
import { storeEngines, storeOf } from '../../src/store/registry.ts';
import { proveStore } from '../contracts/store.contract.ts';

for (const [name, engine] of Object.entries(storeEngines)) {
  t.test(name, async (t) => {
    t.equal(engine.name, name);
    await proveStore(t, engine);
  });
}

t.test('a configuration names its engine', (t) => {
  const directories = { base: t.testdir(), data: t.testdir() };
  const { location } = storeOf({ store: { engine: 'memory', options: {} }, ...directories });
  t.equal(location, storeEngines.memory.at({}, directories).location);
  t.throws(() => storeOf({ store: { engine: 'toy', options: {} }, ...directories }), { code: 'config-invalid' });
  t.end();
});
