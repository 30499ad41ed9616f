import Type from 'typebox';
import { GatewayError } from '../model/error.ts';
import { Secret, secretSchema } from '../model/secret.ts';
import type { FeedRequest } from './feed.ts';

/** The options of a format that say how a key is sent: Basic, a Bearer token, or a header of its own. */
export const keyOptions = {
  key: Type.Optional(secretSchema('Sent as user, header and scheme say; to the host of url and to hosts only.')),
  user: Type.Optional(
    Type.String({
      pattern: '^[^:\\p{Cc}]{1,256}$',
      'x-expects': 'a user name without a colon',
      description: 'Basic authentication: key is the password. Without it, key is a Bearer token.',
    }),
  ),
  header: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$",
      'x-expects': 'the name of a header',
      description: 'The header that carries the key as it is, such as X-API-Key.',
    }),
  ),
  scheme: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9_-]{1,32}$',
      'x-expects': 'one word',
      description: 'The word before the key in its header. Default: Bearer, and none with header.',
    }),
  ),
  hosts: Type.Optional(
    Type.Array(
      Type.String({
        minLength: 1,
        maxLength: 256,
        pattern: '^\\P{Cc}*$',
        'x-expects': 'one line of 1 to 256 characters',
      }),
      {
        minItems: 1,
        maxItems: 64,
        uniqueItems: true,
        description: 'Other names of the same server, which may be given the key.',
      },
    ),
  ),
};

export interface KeyOptions {
  key?: Secret;
  user?: string;
  header?: string;
  scheme?: string;
  hosts?: string[];
}

/** Throws `config-invalid` for options that contradict each other. */
export function checkKeyOptions({ key, user, header, scheme }: KeyOptions): void {
  if (user !== undefined && (header !== undefined || scheme !== undefined)) {
    throw new GatewayError('config-invalid', 'user means Basic authentication: it goes without header and scheme');
  }
  if (key === undefined && (user ?? header ?? scheme) !== undefined) {
    throw new GatewayError('config-invalid', 'user, header and scheme need a key');
  }
}

/** Throws `config-invalid` for a key that no header can carry. A password may hold what a token can't (RFC 7617 section 2). */
export function checkKey({ key, user }: KeyOptions): void {
  if (key === undefined || user !== undefined || /^[\x21-\x7e]+$/.test(key.reveal())) return;
  throw new GatewayError('config-invalid', 'key holds a space, a line break or another character no key has');
}

/** How a request carries the key; nothing without one. */
export function authorizationOf({
  key,
  user,
  header,
  scheme,
  hosts = [],
}: KeyOptions): Pick<FeedRequest, 'authorization'> {
  if (key === undefined) return {};
  if (user !== undefined) {
    const credentials = new Secret(Buffer.from(`${user}:${key.reveal()}`).toString('base64'));
    return { authorization: { header: 'authorization', scheme: 'Basic', key: credentials, hosts } };
  }
  const usual = header === undefined ? 'Bearer' : null;
  return {
    authorization: { header: (header ?? 'authorization').toLowerCase(), scheme: scheme ?? usual, key, hosts },
  };
}
