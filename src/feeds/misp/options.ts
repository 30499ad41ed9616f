import Type from 'typebox';
import type { AccountLimits } from '../feed.ts';

/** Options that both formats of MISP have. */

export const serverAddress = (description: string) =>
  Type.String({
    maxLength: 4096,
    pattern: '^https?://[^/@?#\\s{}]+(?:/[^?#\\s]*)?$',
    'x-expects': 'an http(s) address without user, password and query',
    description,
  });

/** The limits of an account, by the pace that the configuration sets. */
export function limitsOf(perMinute: number): AccountLimits {
  return { minInterval: 0, windows: [{ seconds: 60, requests: perMinute }] };
}

export const markedOption = Type.Enum(['only', 'all'], {
  default: 'only',
  description:
    'only: attributes that are marked for detection (to_ids). all: the others as well, which are no indicators to block.',
});

export const onlyDelta = Type.Optional(
  Type.Enum(['delta'], { description: 'A pull holds what is new or changed; there is no other mode.' }),
);
