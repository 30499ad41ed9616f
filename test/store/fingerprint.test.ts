import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import t from 'tap';
import { AMENDED, compareFingerprints, fingerprintOf } from '../../src/store/sqlite/fingerprint.ts';

t.test('what is kept compares as its text and a flag would', async (t) => {
  const db = new DatabaseSync(':memory:');
  t.teardown(() => db.close());
  db.exec('CREATE TABLE rows (fingerprint INT NOT NULL) STRICT');
  const text = fc.constantFrom('a', 'b', 'c', '');
  fc.assert(
    fc.property(text, text, fc.nat(2), (first, said, amendments) => {
      db.exec('DELETE FROM rows');
      db.prepare('INSERT INTO rows VALUES (?)').run(fingerprintOf(first));
      for (let i = 0; i < amendments; i += 1) db.exec(`UPDATE rows SET fingerprint = ${AMENDED}`);
      const kept = Number(db.prepare('SELECT fingerprint FROM rows').get()?.['fingerprint']);
      const expected = first !== said ? 'different' : amendments > 0 ? 'amended' : 'same';
      return compareFingerprints(kept, fingerprintOf(said)) === expected;
    }),
  );
  t.ok(Number.isSafeInteger(fingerprintOf('a')));
});
