import t from 'tap';
import { MICROS_PER_DAY, MICROS_PER_MS, type Micros } from '../../src/model/clock.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { observableKey } from '../../src/model/observable.ts';
import type { Observation } from '../../src/model/observation.ts';
import { type Issue, issue, materialOf, tombstone } from '../../src/publish/issue.ts';
import { merge } from '../../src/publish/merge.ts';
import { publishersOf } from '../../src/publish/publisher.ts';
import { feed, journal } from '../helpers/journals.ts';
import { observation, START, uuidOf } from '../helpers/store.ts';

const DAY = MICROS_PER_DAY;
const MS = MICROS_PER_MS;
/** A date with a part below the millisecond, as the store stamps them. */
const DATE = START + 7;
const stix = journal({}, { keep: 5 * 86_400_000 });
const elastic = journal({}, { profile: 'elastic-agent', keep: 5 * 86_400_000 });

/** What a pool says of one observable that one feed says this of. */
function wanted(said: Partial<Observation>, previous: IndicatorEntry | null = null): Issue {
  const one = observation({ firstSeen: null, lastSeen: null, ...said });
  const feeds = new Map([['f', { definition: feed('f'), confirmedAt: null, unreadSince: null }]]);
  const context = { suppressors: [], definition: stix, feeds, publishers: publishersOf([]) };
  const { merged, leftOut } = merge([{ feed: 'f', observation: one }], context, START);
  if (merged === null) throw new Error(leftOut[0]?.reason);
  const as = one.observable;
  return { key: observableKey(as), as, merged, material: materialOf(as, merged), previous };
}
const issued = (
  said: Partial<Observation>,
  definition = stix,
  at: Micros = DATE,
  previous: IndicatorEntry | null = null,
) => issue(wanted(said, previous), definition, uuidOf('namespace'), at);

t.test('a first version is dated by its commit, in whole milliseconds', async (t) => {
  const first = issued({});
  t.match(first, {
    dateAdded: DATE,
    generation: DATE,
    created: START,
    version: START,
    validFrom: START,
    revoked: false,
  });
  t.not(issued({}, stix, DATE + 1).objectId, first.objectId, 'what begins anew has an id of its own');
});

t.test('valid_from is what a source says, else the first sighting, and never later than created', async (t) => {
  t.equal(issued({ validFrom: START - DAY + 5, firstSeen: START - 2 * DAY }).validFrom, START - DAY);
  t.equal(issued({ firstSeen: START - 2 * DAY + 5 }).validFrom, START - 2 * DAY);
  t.equal(issued({ validFrom: START + DAY }).validFrom, START);
});

t.test('a later version keeps id, created and valid_from, and is later even where the clock is not', async (t) => {
  const first = issued({ validFrom: START - DAY });
  const next = issued({ validFrom: START - 9 * DAY, confidence: 10 }, stix, DATE + DAY, first);
  const { objectId, generation, created, validFrom } = first;
  t.match(next, { objectId, generation, created, validFrom, version: START + DAY, dateAdded: DATE + DAY });
  t.equal(issued({}, stix, DATE - DAY, next).version, START + DAY + MS);
});

t.test(
  'valid_until is the source’s, behind valid_from; for Elastic it is a year where no source has one',
  async (t) => {
    t.equal(issued({ validUntil: START + DAY + 5 }).validUntil, START + DAY);
    t.equal(issued({}).validUntil, null);
    t.equal(issued({}, elastic).validUntil, START + 365 * DAY);
    t.equal(issued({ validUntil: START + DAY }, elastic).validUntil, START + DAY);
    t.equal(issued({ validUntil: START + 5 }).validUntil, START + MS, 'an end within the millisecond lies behind it');
  },
);

t.test('the last version of an id is later than all before, and says when and why', async (t) => {
  const live = issued({ validUntil: START + 9 * DAY });
  const at = DATE + DAY;
  const dead = tombstone(live, 'expired', stix, at, at);
  t.match(dead, { dateAdded: at, version: START + DAY, validUntil: START + DAY, created: live.created });
  t.match(dead, { revoked: true, reason: 'expired', due: at + 5 * DAY, objectId: live.objectId, superseded: false });
  t.equal(tombstone(live, 'expired', stix, DATE - DAY, DATE - DAY).version, START + MS, 'wherever the clock is');
  t.equal(
    tombstone(live, 'expired', stix, DATE - DAY, DATE - DAY).validUntil,
    START + MS,
    'and its end behind its beginning',
  );

  const gone = tombstone(issued({}, elastic), 'expired', elastic, at, at);
  t.match(
    gone,
    { created: START + DAY, version: START + DAY, validUntil: START + DAY - 600_000 * MS },
    'past for Elastic',
  );
  const late = tombstone(issued({}, elastic), 'expired', elastic, at, START + DAY / 2);
  t.equal(late.validUntil, START + DAY / 2 - 600_000 * MS, 'and where a clock that was ahead has dated the journal');
});
