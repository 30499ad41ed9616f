import Type, { type Static } from 'typebox';
import { pemProblems } from '../../model/certificates.ts';
import { durationSchema } from '../../model/duration.ts';
import { GatewayError } from '../../model/error.ts';
import { certificateSchema, privateKeySchema } from '../../model/secret.ts';
import type { FeedAccount } from '../feed.ts';
import { checkKey, checkKeyOptions, keyOptions } from '../key.ts';

const closed = { additionalProperties: false } as const;

const name = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: '^\\P{Cc}*$',
  'x-expects': 'one line of 1 to 256 characters',
});
const names = (description: string) => Type.Array(name, { minItems: 1, maxItems: 64, uniqueItems: true, description });
const words = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ pattern: '^[A-Za-z0-9.:_-]{1,128}$', 'x-expects': 'one word' }), {
      minItems: 1,
      maxItems: 32,
      uniqueItems: true,
      description,
    }),
  );

/** The largest page that is asked for. */
export const MAX_PAGE = 10_000;

export const optionsSchema = Type.Object(
  {
    url: Type.String({
      maxLength: 4096,
      pattern: '^https?://[^/@?#\\s]+(?:/[^?#\\s]*)?$',
      'x-expects': 'an http(s) address without user, password and query',
      description: 'The server, its discovery, an API root, or one collection (.../collections/ID/).',
    }),
    api_root: Type.Optional(
      Type.String({ ...name, description: 'Title or address of the API root, where a server has several.' }),
    ),
    collections: Type.Optional(names('Ids, titles or aliases. Without it, the only one that there is.')),
    aliases: Type.Optional(
      Type.Record(Type.String({ pattern: '^[^\\x00-\\x1f]{1,256}$' }), names('What else it may be called.'), {
        maxProperties: 64,
        'x-keys': 'must be the name of a collection, one line',
        description: 'Other names of collections, tried where the server does not know the first.',
      }),
    ),
    ...keyOptions,
    tls: Type.Optional(
      Type.Object(
        {
          cert: Type.Optional(certificateSchema('A client certificate; with key.')),
          key: Type.Optional(privateKeySchema('Its private key, without a passphrase.')),
          ca: Type.Optional(certificateSchema("Who may have signed the server's certificate, in place of the usual.")),
        },
        {
          ...closed,
          description: 'How the connection is made, where the usual is not enough.',
        },
      ),
    ),
    mode: Type.Optional(
      Type.Enum(['delta', 'snapshot'], {
        description:
          'delta: asks for what was added since (default). snapshot: reads all, and withdraws what vanished.',
      }),
    ),
    match: Type.Optional(
      Type.Object(
        {
          type: words('STIX types, such as [indicator].'),
          version: words('last, first, all or timestamps; a server without this answers the last.'),
          spec_version: words('STIX versions.'),
          id: words('Object ids.'),
        },
        { ...closed, description: 'match[...] of TAXII 2.1 section 3.4.1. A change begins anew.' },
      ),
    ),
    page_size: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: MAX_PAGE,
      description: 'Objects a request. A server that refuses so many is asked for fewer.',
    }),
    lookback: Type.Optional(
      durationSchema({
        minimum: '1m',
        maximum: '3650d',
        description:
          'How far back the first pull asks, and what a longer outage is reported as. Without it, everything.',
      }),
    ),
    per_minute: Type.Integer({ default: 120, minimum: 1, description: 'Requests a minute.' }),
    per_day: Type.Optional(Type.Integer({ minimum: 1, description: 'Requests a day.' })),
    weight: Type.Number({
      default: 1,
      minimum: 0.1,
      maximum: 100,
      description: 'What a request for objects counts, where a server counts it more than once.',
    }),
  },
  closed,
);
export type Options = Static<typeof optionsSchema>;

/** Checks what the schema can't. Throws `config-invalid`. */
export function checkOptions(options: Options): void {
  const { url, collections, tls, mode, match } = options;
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  if (collectionOf(new URL(url)) !== null && collections !== undefined) {
    refuse('url names a collection already: leave collections out, or give the server');
  }
  if (mode === 'snapshot' && match?.version !== undefined)
    refuse('a snapshot is of last versions: leave match.version out');
  checkKeyOptions(options);
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) {
    refuse('tls needs both cert and key, or neither');
  }
  if (tls !== undefined && !url.startsWith('https://')) refuse('tls goes with an https address');
}

/** Whose budget is spent, and how the server is reached. Throws `config-invalid` for a key or certificate of no use. */
export function accountOf(options: Options): FeedAccount {
  const { url, key, per_minute, per_day, tls, hosts = [] } = options;
  checkKey(options);
  if (tls !== undefined) checkCertificates(tls);
  const windows = [{ seconds: 60, requests: per_minute }];
  if (per_day !== undefined) windows.push({ seconds: 86_400, requests: per_day });
  return {
    origin: new URL(url).origin,
    key: key ?? null,
    limits: { minInterval: 0, windows },
    ...(tls === undefined ? {} : { tls: { ...tls, hosts } }),
  };
}

function checkCertificates(tls: NonNullable<Options['tls']>): void {
  const [problem] = pemProblems(tls);
  if (problem === undefined) return;
  const { part, message } = problem;
  throw new GatewayError('config-invalid', `${part === 'pair' ? 'tls.cert and tls.key' : `tls.${part}`} ${message}`);
}

/** The collection that an address names (TAXII 2.1 section 5.2), with the collection's own address; null for other addresses. */
export function collectionOf(url: URL): { name: string; url: URL } | null {
  const match = /^(.*\/collections\/([^/]+)\/)(?:objects\/?|manifest\/?)?$/.exec(
    url.pathname.endsWith('/') ? url.pathname : `${url.pathname}/`,
  );
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return { name: decode(match[2]), url: new URL(match[1], url) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
