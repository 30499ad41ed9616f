import type { Micros } from '../model/clock.ts';
import { isMergeableId } from '../stix/relationship.ts';
import type { Transaction } from '../store/store.ts';
import { addPublished, type Changes, type Published } from './changes.ts';
import { publishExpanded } from './expanded-indicators.ts';
import { publishIndicators } from './indicators.ts';
import { publishObjects } from './objects.ts';
import { relationsOn } from './relations.ts';
import type { JournalView } from './view.ts';

/**
 * Brings journals up to date with changes: indicators, objects that pass verbatim, and in the same commit the relations that point
 * at either. Doing it again changes nothing.
 */
export async function publish(
  tx: Transaction,
  views: readonly JournalView[],
  changes: Changes,
  now: Micros,
): Promise<Published> {
  const published: Published = { entries: 0, withdrawn: 0 };
  if (changes.keys.length === 0 && changes.objects.length === 0) return published;
  for (const view of views) {
    const { expandCidr } = view.definition.policy;
    addPublished(
      published,
      expandCidr === null
        ? await publishIndicators(tx, view, changes, now)
        : await publishExpanded(tx, view, expandCidr, changes, now),
    );
    addPublished(published, await publishObjects(tx, view, changes.objects, now));
    for await (const relations of relationsOn(tx, view, changes.keys, changes.objects.filter(isMergeableId))) {
      addPublished(published, await publishObjects(tx, view, relations, now));
    }
  }
  return published;
}
