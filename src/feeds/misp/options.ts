import Type from 'typebox';

/** Options that both formats of MISP have. */

export const markedOption = Type.Enum(['only', 'all'], {
  default: 'only',
  description:
    'only: attributes that are marked for detection (to_ids). all: the others as well, which are no indicators to block.',
});

export const onlyDelta = Type.Optional(
  Type.Enum(['delta'], { description: 'A pull holds what is new or changed; there is no other mode.' }),
);
