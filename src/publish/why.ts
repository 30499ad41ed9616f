import type { JournalDefinition } from '../model/definition.ts';
import { UNMATCHED } from '../model/elastic.ts';
import type { WithdrawalReason } from '../model/entry.ts';
import { formatMillis } from '../model/timestamp.ts';
import type { Explanation } from './explain.ts';

/** Says for a person why an indicator is in a collection or isn't, and what would change that. */

interface Served {
  definition: JournalDefinition;
  /** The configuration's name of whoever sets the policy: `pools.main` or `collections.block`. */
  section: string;
  state: 'live' | 'withdrawn' | 'never';
  reason: WithdrawalReason | null;
}

export function whyOf(explanation: Explanation, { definition, section, state, reason }: Served): string {
  const { merged, said, verdict, entries } = explanation;
  if (state === 'live' && merged !== null && reason === null) {
    const since = entries.find(({ revoked }) => !revoked)?.generation;
    const publishers = `${merged.publishers} independent ${merged.publishers === 1 ? 'publisher says' : 'publishers say'} it`;
    const warning = verdict === null ? '' : ` ${verdict.reason}`;
    return `It is served${since === undefined ? '' : ` since ${formatMillis(since)}`}: ${publishers}.${warning}`;
  }
  if (reason === null) {
    if (said.length > 0) return PENDING;
    return verdict?.mode === 'drop' ? `${NOBODY} It would stay out: ${verdict.reason} ${verdict.admit}` : NOBODY;
  }
  if (reason === 'suppressed' && verdict !== null) return `${verdict.reason} ${verdict.admit}`;
  const sentence = sentences[reason](definition, section, explanation);
  return state === 'live' ? `${sentence} ${PENDING}` : sentence;
}

const NOBODY = 'No feed of the pool says it.';
const PENDING = 'Readers are told of it with the next poll, or within a minute.';

type Sentence = (definition: JournalDefinition, section: string, explanation: Explanation) => string;

const sentences: Record<WithdrawalReason, Sentence> = {
  'above-ceiling': ({ policy }, section) =>
    `What is said of it is marked above the ceiling of this collection, TLP ${policy.tlp} (${section}.tlp).`,
  revoked: () => 'The feed that said it took it back.',
  expired: ({ policy }, section) =>
    `It is past its own valid_until, or was not seen for the feed's lifetime${policy.maxAge === undefined ? '' : ` or ${section}.max_age`}.`,
  'false-positive': () => 'An analyst says that it is a false positive.',
  suppressed: (_, section) => `It is suppressed by a rule of ${section}.`,
  'type-not-taken': (_, section) => `${section}.types does not name its type.`,
  'objects-not-taken': (_, section) => `${section}.objects takes indicators only.`,
  'not-for-elastic': () =>
    `The profile elastic-agent can't match ${UNMATCHED}. A collection with profile: stix serves it.`,
  'below-confidence': ({ policy }, section, { merged }) => {
    const said = `Its confidence is ${merged?.confidence ?? 'not known'}`;
    const decayed = (merged?.confidence ?? 0) < policy.minConfidence ? '' : ' and has decayed since it was last seen';
    return `${said}${decayed}; ${section}.min_confidence asks for ${policy.minConfidence}.`;
  },
  'label-not-taken': (_, section) => `${section}.labels does not take its labels.`,
  'too-few-sources': ({ policy }, section, { merged }) =>
    `${merged?.publishers ?? 0} independent publishers say it; ${section}.sources asks for ${policy.minSources}${policy.sourcesOf === undefined ? '' : ` of ${policy.sourcesOf.join(', ')}`}.`,
  'end-not-served': () => 'An end of the relation is not served.',
  expanded: ({ pool }) => `pools.${pool}.expand_cidr serves its addresses in its place.`,
  superseded: () => 'Another version of the object is served.',
  vanished: () => 'The feed no longer lists it.',
  reissued: () => 'It was issued anew under another id.',
  'feed-removed': () => 'The feed that said it is no longer in the pool.',
};
