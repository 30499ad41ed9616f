import Type, { type Static } from 'typebox';
import { MICROS_PER_SECOND, type Micros } from '../../model/clock.ts';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject } from '../../model/json.ts';
import { Secret, secretSchema } from '../../model/secret.ts';
import type { FeedContext } from '../feed.ts';

const word = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 1024, pattern: '^[\\x20-\\x7e]*$', description }));

export const oauth2Schema = Type.Object(
  {
    token_url: Type.String({
      maxLength: 4096,
      pattern: '^https?://[^/@?#\\s{}]+(?:/[^\\s{}]*)?$',
      'x-expects': 'an http(s) address without user and password',
      description: 'Where the token is fetched from.',
    }),
    client_id: Type.String({ minLength: 1, maxLength: 1024, pattern: '^[\\x20-\\x7e]*$', description: 'Who asks.' }),
    client_secret: secretSchema('Goes to the host of token_url only.'),
    scope: word('What the token shall be good for.'),
    audience: word('Whom the token shall be good for, where the server asks it.'),
    client_authentication: Type.Enum(['body', 'header'], {
      default: 'body',
      description: 'How id and secret are sent: in the body, or by Basic authentication.',
    }),
  },
  {
    additionalProperties: false,
    description: 'OAuth 2 client credentials: a token is fetched, and sent as a Bearer token until it ends.',
  },
);
export type OAuth2Options = Static<typeof oauth2Schema>;

interface Token {
  secret: Secret;
  endsAt: Micros;
}

/** A token is used up to so long before its end: clocks differ, and a request takes time. */
const MARGIN = 30 * MICROS_PER_SECOND;
/** RFC 6749 section 5.1 lets a server leave out how long a token lasts. */
const USUAL_SECONDS = 300;
const LONGEST_SECONDS = 86_400;
const MAX_TOKEN = 16_384;

/** Tokens that are good still, by the options that they were fetched with. They are in memory only. */
const tokens = new WeakMap<OAuth2Options, Token>();

/**
 * Calls `send` with a token (RFC 6749 section 4.4). When a token of before is not accepted, it is fetched anew, once.
 * Throws what `send` throws, and `upstream-unauthorized` or `upstream-malformed` where there is no token to be had.
 */
export async function withToken<T>(
  options: OAuth2Options,
  feed: Pick<FeedContext<unknown>, 'fetch' | 'now'>,
  send: (token: Secret) => Promise<T>,
): Promise<T> {
  const known = tokens.get(options);
  if (known !== undefined && known.endsAt > feed.now()) {
    try {
      return await send(known.secret);
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'upstream-unauthorized') throw error;
    }
  }
  tokens.delete(options);
  const token = await fetchToken(options, feed);
  tokens.set(options, token);
  return send(token.secret);
}

async function fetchToken(
  { token_url, client_id, client_secret, scope, audience, client_authentication }: OAuth2Options,
  { fetch, now }: Pick<FeedContext<unknown>, 'fetch' | 'now'>,
): Promise<Token> {
  const url = new URL(token_url);
  const isInBody = client_authentication === 'body';
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    ...(isInBody ? { client_id, client_secret: client_secret.reveal() } : {}),
    ...(scope === undefined ? {} : { scope }),
    ...(audience === undefined ? {} : { audience }),
  });
  // RFC 6749 section 2.3.1: both are written as in a form before they are joined.
  const credentials = [client_id, client_secret.reveal()].map(encodeURIComponent).join(':');
  const basic = new Secret(Buffer.from(credentials).toString('base64'));
  const before = now();
  const response = await fetch({
    url,
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
    authorization: isInBody
      ? { header: null, scheme: null, key: null, isInBody }
      : { header: 'authorization', scheme: 'Basic', key: basic },
    explain(status) {
      if (status !== 400 && status !== 401 && status !== 403) return null;
      const message = `${url.host} gives this client no token (${status}): are client_id, client_secret and scope right?`;
      return new GatewayError('upstream-unauthorized', message);
    },
  });
  // What came is never quoted: it may hold a token.
  const answer = await response?.json().catch(() => null);
  const { access_token: token, expires_in: seconds } = isJsonObject(answer) ? answer : {};
  if (typeof token !== 'string' || token.length > MAX_TOKEN || !/^[\x21-\x7e]+$/.test(token)) {
    throw new GatewayError('upstream-malformed', `${url.host} answered without a token.`);
  }
  const lasts = Number(seconds ?? USUAL_SECONDS);
  const bounded = lasts > 0 ? Math.min(lasts, LONGEST_SECONDS) : USUAL_SECONDS;
  return { secret: new Secret(token), endsAt: before + bounded * MICROS_PER_SECOND - MARGIN };
}
