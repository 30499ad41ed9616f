import Type from 'typebox';
import { profiles } from '../../model/definition.ts';
import { durationSchema } from '../../model/duration.ts';
import { observableTypes } from '../../model/observable.ts';
import { secretSchema } from '../../model/secret.ts';
import { tlpLevels } from '../../model/tlp.ts';

/** What several sections of the configuration file word in the same way. */

export const closed = { additionalProperties: false } as const;

/** Names become parts of addresses, ids and file names. */
export const namePattern = '^[a-z0-9][a-z0-9_-]{0,63}$';
export const nameWords = 'must be a name of a-z, 0-9, - and _, at most 64 characters';
export const named = { 'x-keys': nameWords };

export const line = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: 256,
    pattern: '^\\P{Cc}*$',
    'x-expects': 'one line of 1 to 256 characters',
    description,
  });
export const text = (description: string) => Type.String({ minLength: 1, maxLength: 4096, description });
export const reference = (description: string) => Type.String({ minLength: 1, maxLength: 64, description });

export const tlpSchema = (description: string, default_?: string) =>
  Type.Enum([...tlpLevels], { description, ...(default_ === undefined ? {} : { default: default_ }) });
export const profileSchema = (description: string, default_?: string) =>
  Type.Enum([...profiles], { description, ...(default_ === undefined ? {} : { default: default_ }) });
export const keepSchema = (default_?: string) =>
  durationSchema({
    minimum: '1m',
    maximum: '3650d',
    description: 'How long a withdrawal is told to those who come late.',
    ...(default_ === undefined ? {} : { default: default_ }),
  });
export const typesSchema = Type.Array(Type.Enum([...observableTypes]), {
  minItems: 1,
  uniqueItems: true,
  description: 'Observable types; without it, all.',
});

export const proxyWords = {
  'x-expects': 'off, environment, http(s)://HOST:PORT, or with a password {env: NAME} or {file: PATH}',
};
export const proxySchema = (description: string, default_?: string) =>
  Type.Union(
    [
      Type.String({ maxLength: 2048, pattern: '^(?:off|environment|https?://[^/@?#\\s]+/?)$', ...proxyWords }),
      secretSchema('An address with a password in it.'),
    ],
    { description, ...proxyWords, ...(default_ === undefined ? {} : { default: default_ }) },
  );

/** Values that a person lists: addresses, networks, domains, URLs, e-mail addresses, hashes (suppression.ts reads them). */
export const entriesSchema = (description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), { maxItems: 10_000, description });
