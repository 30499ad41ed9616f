import type { Micros } from '../model/clock.ts';
import { isMergeableId } from '../stix/relationship.ts';
import type { Transaction } from '../store/store.ts';
import { addPublished, type Changes, type Published } from './changes.ts';
import { publishExpanded } from './expanded-indicators.ts';
import { publishIndicators } from './indicators.ts';
import type { JournalContext } from './journals.ts';
import { publishObjects } from './objects.ts';
import { relationsOn } from './relations.ts';

/**
 * Brings journals up to date with changes: indicators, objects that pass verbatim, and in the same commit the relations that point
 * at either. Doing it again changes nothing.
 */
export async function publish(
  tx: Transaction,
  contexts: readonly JournalContext[],
  changes: Changes,
  now: Micros,
): Promise<Published> {
  const published: Published = { entries: 0, withdrawn: 0 };
  if (changes.keys.length === 0 && changes.objects.length === 0) return published;
  for (const context of contexts) {
    const { expandCidr, objects } = context.definition.policy;
    addPublished(
      published,
      expandCidr === null
        ? await publishIndicators(tx, context, changes, now)
        : await publishExpanded(tx, context, expandCidr, changes, now),
    );
    if (changes.objects.length > 0) addPublished(published, await publishObjects(tx, context, changes.objects, now));
    // A journal that takes no other objects has no relations.
    if (objects !== 'all') continue;
    for await (const relations of relationsOn(tx, context, changes.keys, changes.objects.filter(isMergeableId))) {
      addPublished(published, await publishObjects(tx, context, relations, now));
    }
  }
  return published;
}
