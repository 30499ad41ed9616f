import type { Micros } from '../model/clock.ts';
import type { StixObject } from '../model/observation.ts';
import { formatMillis } from '../model/timestamp.ts';
import { identityId } from './id.ts';

/**
 * The identity object (STIX 2.1 section 4.5) that `created_by_ref` of every indicator names. `at`: its `created`; an identity that was
 * issued before keeps its own (publish/producer-objects.ts).
 */
export function producingIdentity(
  namespace: string,
  { name, description, contact }: { name: string; description: string | null; contact: string | null },
  at: Micros,
): StixObject {
  const id = identityId(namespace);
  const issued = formatMillis(at);
  return {
    id,
    type: 'identity',
    version: issued,
    raw: {
      type: 'identity',
      spec_version: '2.1',
      id,
      created: issued,
      modified: issued,
      name,
      description: description ?? 'The feed gateway that merges and issues these indicators.',
      identity_class: 'organization',
      ...(contact === null ? {} : { contact_information: contact }),
    },
  };
}
