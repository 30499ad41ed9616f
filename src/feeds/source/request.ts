import Type, { type Static } from 'typebox';
import { GatewayError } from '../../model/error.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import { mayCarryKey } from '../../model/key-hosts.ts';
import { Secret, secretSchema } from '../../model/secret.ts';
import type { FeedContext, FeedRequest, FeedResponse } from '../feed.ts';
import { authorizationOf, keyOptions } from '../key.ts';
import { concealIn } from './conceal.ts';
import { oauth2Schema, withToken } from './oauth2.ts';
import { fill, type Placeholders, placeholdersIn } from './placeholders.ts';

/** How a source at an address is asked: method, headers, body, and the secrets in them. */

const headerName = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$";
const addressPattern = '^https?://[^/@\\s{}]+(?:/\\S*)?$';

export const addressSchema = (description: string) =>
  Type.String({
    maxLength: 4096,
    pattern: addressPattern,
    'x-expects': 'an http(s) address without user and password',
    description,
  });

export const requestOptions = {
  ...keyOptions,
  method: Type.Optional(Type.Enum(['GET', 'POST'], { description: 'Default: POST where there is a body, else GET.' })),
  headers: Type.Optional(
    Type.Record(Type.String({ pattern: headerName }), Type.String({ maxLength: 4096, pattern: '^[\\x20-\\x7e]*$' }), {
      maxProperties: 32,
      'x-keys': 'is not the name of a header',
      description:
        'Headers by name. {secret:NAME} in one is replaced; such a header goes to the host of url and to hosts only.',
    }),
  ),
  body: Type.Optional(
    Type.Union([Type.String({ maxLength: 65_536 }), Type.Record(Type.String(), Type.Unknown())], {
      'x-expects': 'text, or a mapping',
      description: 'Of a POST: text as it is, or a mapping, which is sent as JSON. {secret:NAME} in it is replaced.',
    }),
  ),
  content_type: Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e][\\x20-\\x7e]{0,127}$',
      'x-expects': 'a media type',
      description:
        'Of the body. Default: application/json for a mapping, and for text that begins with a brace or bracket; else application/x-www-form-urlencoded.',
    }),
  ),
  secrets: Type.Optional(
    Type.Record(
      Type.String({ pattern: '^[A-Z][A-Z0-9_]{0,63}$' }),
      secretSchema('Stands where url, headers and body say {secret:NAME}.'),
      {
        maxProperties: 16,
        'x-keys': 'is not a name in capitals, digits and _',
        description: 'Secrets by name, each where url, headers, body or fallback_urls say {secret:NAME}.',
      },
    ),
  ),
  oauth2: Type.Optional(oauth2Schema),
  fallback_urls: Type.Optional(
    Type.Array(addressSchema('An address of a copy.'), {
      minItems: 1,
      maxItems: 8,
      uniqueItems: true,
      description:
        'Copies of the same, asked in this order where url answers 403, 404 or 5xx, or nothing. Secrets go to a copy only if hosts names its host.',
    }),
  ),
};
const requestSchema = Type.Object({ url: Type.Optional(addressSchema('')), ...requestOptions });
export type RequestOptions = Static<typeof requestSchema>;

/** Headers that belong to the connection, to a key of the gateway, or to what the gateway does with answers. */
const OWN_HEADERS =
  /^(?:host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|content-length|content-type|expect|range|accept-encoding|cookie|if-.*|proxy-.*)$/i;

const refuse = (message: string): never => {
  throw new GatewayError('config-invalid', message);
};

/** Throws `config-invalid` for options that contradict each other. */
export function checkRequest(options: RequestOptions): void {
  const { url, key, user, header, scheme, method, headers = {}, body, content_type, oauth2 } = options;
  if (url === undefined) {
    const [extra] = (['method', 'headers', 'body', 'secrets', 'oauth2', 'fallback_urls'] as const).filter(
      (name) => options[name] !== undefined,
    );
    if (extra !== undefined) refuse(`${extra} goes with url`);
    return;
  }
  if (method === 'GET' && body !== undefined) refuse('body goes with method POST');
  if (content_type !== undefined && body === undefined) refuse('content_type goes with a body');
  if (oauth2 !== undefined && (key ?? user ?? header ?? scheme) !== undefined) {
    refuse('oauth2 goes without key, user, header and scheme');
  }
  for (const [name, value] of Object.entries(headers)) {
    if (OWN_HEADERS.test(name)) refuse(`headers.${name} is set by the gateway: leave it out`);
    if (name.toLowerCase() === header?.toLowerCase()) refuse(`headers.${name} is what header names: leave one out`);
    if (!/^authorization$/i.test(name)) continue;
    if (key !== undefined || oauth2 !== undefined) refuse(`headers.${name} goes without key and oauth2`);
    if (placeholdersIn(value).length === 0)
      refuse(`headers.${name} is a secret: write {secret:NAME} and name it under secrets`);
  }
  if (!URL.canParse(url)) refuse('url is no address');
  checkPlaceholders(options, url);
}

function checkPlaceholders(options: RequestOptions, url: string): void {
  const { key, user, header, scheme, headers = {}, body, secrets = {}, fallback_urls = [] } = options;
  const addresses = [url, ...fallback_urls].flatMap(placeholdersIn);
  const others = [...Object.values(headers), ...textsIn(body)].flatMap(placeholdersIn);
  if (others.includes('key')) refuse('{key} stands in url only: a header takes it by header, a body by {secret:NAME}');
  if (addresses.includes('key')) {
    if (key === undefined) refuse('url holds {key}: it needs a key');
    if ((user ?? header ?? scheme) !== undefined) refuse('url holds {key}: it goes without user, header and scheme');
  }
  const used = new Set([...addresses, ...others].filter((name) => name.startsWith('secret:')));
  for (const placeholder of used) {
    const name = placeholder.slice('secret:'.length);
    if (!Object.hasOwn(secrets, name)) refuse(`{${placeholder}} is used, and secrets has no ${name}`);
  }
  for (const name of Object.keys(secrets)) {
    if (!used.has(`secret:${name}`)) refuse(`secrets.${name} is used nowhere: write {secret:${name}} where it belongs`);
  }
  for (const address of fallback_urls) {
    if (!URL.canParse(address)) refuse('fallback_urls holds what is no address');
    if (isOwn(options, url, address)) continue;
    const { host } = new URL(address);
    if (placeholdersIn(address).some(isSecret))
      refuse(`fallback_urls gives ${host} a secret: name it in hosts if it is meant`);
    if (textsIn(body).flatMap(placeholdersIn).some(isSecret)) {
      refuse(`body holds a secret, so fallback_urls can't be asked: name ${host} in hosts if it is meant`);
    }
  }
}

const isSecret = (placeholder: string): boolean => placeholder === 'key' || placeholder.startsWith('secret:');

function isOwn({ hosts = [] }: RequestOptions, url: string, address: string): boolean {
  return mayCarryKey(new URL(url), new URL(address), hosts);
}

/** Throws `config-invalid` for a secret that can't be sent where it stands. */
export function checkSecrets({ headers = {}, secrets = {} }: RequestOptions): void {
  for (const [name, value] of Object.entries(headers)) {
    if (/^[\x20-\x7e]*$/.test(fill(value, valuesOf({ secrets }), plain))) continue;
    refuse(`headers.${name} gets a secret with a character that no header carries`);
  }
}

/** All secrets that the requests hold; no text that people see may hold one. */
export function secretsOf({ key, secrets = {}, oauth2 }: RequestOptions): Secret[] {
  return [key, ...Object.values(secrets), oauth2?.client_secret].filter((secret) => secret !== undefined);
}

/** One request of a source. */
export interface Asked {
  /** With its placeholders; default: `url` of the options. */
  address?: string;
  /** In place of the address, as an upstream gave it: nothing in it is replaced. */
  link?: URL;
  accept: string;
  /** It is the only request of its pull. */
  conditional?: boolean;
  /** Values of placeholders that are no secrets, such as {since}. */
  variables?: Record<string, string>;
  /** Parameters that are set in the address. */
  query?: Record<string, string>;
  /** Members that are set in a body that is a mapping. */
  members?: JsonObject;
}

/** Sends a request as the options say it. Null: nothing changed since the last whole pull. Throws what the runner throws. */
export async function ask(feed: FeedContext<RequestOptions>, asked: Asked): Promise<FeedResponse | null> {
  const { options, fetch } = feed;
  const { request, isOwn } = requestOf(options, asked);
  const secrets = secretsOf(options);
  const send = async (authorization: FeedRequest['authorization']): Promise<FeedResponse | null> => {
    const response = await fetch(authorization === undefined ? request : { ...request, authorization });
    const sent = [...secrets, ...(authorization?.key ? [authorization.key] : [])];
    return response === null ? null : { ...response, body: concealIn(response.body, sent) };
  };
  if (options.oauth2 === undefined || !isOwn) return send(request.authorization);
  const { hosts = [] } = options;
  return withToken(options.oauth2, feed, (key) =>
    send({ ...request.authorization, header: 'authorization', scheme: 'Bearer', key, hosts }),
  );
}

function requestOf(options: RequestOptions, asked: Asked): { request: FeedRequest; isOwn: boolean } {
  const { url: main = '', hosts = [], body, key } = options;
  const { address = main, accept, conditional = false, variables = {}, query = {} } = asked;
  const values = valuesOf(options, variables);
  const url = asked.link ?? new URL(fill(address, values, encodeURIComponent));
  if (asked.link === undefined) for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const own = isOwn(options, main, url.href);
  const headers: Record<string, string> = { accept };
  const secretHeaders: Record<string, Secret> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) {
    const lower = name.toLowerCase();
    if (!placeholdersIn(value).some(isSecret)) headers[lower] = fill(value, values, plain);
    else if (own) secretHeaders[lower] = new Secret(fill(value, values, plain));
  }
  const { method = body === undefined ? 'GET' : 'POST' } = options;
  if (method === 'POST') headers['content-type'] = contentTypeOf(options);
  const isInBody = textsIn(body).flatMap(placeholdersIn).some(isSecret);
  const isInAddress = placeholdersIn(address).some(isSecret);
  const isKeyInAddress = placeholdersIn(address).includes('key');
  const sent = isKeyInAddress || !own || key === undefined ? undefined : authorizationOf(options).authorization;
  const isSecretRequest = sent !== undefined || isInAddress || isInBody || Object.keys(secretHeaders).length > 0;
  return {
    isOwn: own,
    request: {
      url,
      method,
      headers,
      conditional,
      ...(method === 'POST' ? { body: bodyOf(options, asked.members ?? {}, values) } : {}),
      ...(isSecretRequest
        ? { authorization: { header: null, scheme: null, key: null, ...sent, headers: secretHeaders, isInBody, hosts } }
        : {}),
    },
  };
}

function valuesOf({ key, secrets = {} }: RequestOptions, variables: Record<string, string> = {}): Placeholders {
  const named = Object.entries(secrets).map(([name, secret]) => [`secret:${name}`, secret.reveal()] as const);
  return new Map([
    ...Object.entries(variables),
    ...named,
    ...(key === undefined ? [] : [['key', key.reveal()] as const]),
  ]);
}

const plain = (value: string): string => value;
const inJsonText = (value: string): string => JSON.stringify(value).slice(1, -1);

function contentTypeOf({ body = '', content_type }: RequestOptions): string {
  if (content_type !== undefined) return content_type;
  const isJson = typeof body !== 'string' || /^\s*[{[]/.test(body);
  return isJson ? 'application/json' : 'application/x-www-form-urlencoded';
}

function bodyOf(options: RequestOptions, members: JsonObject, values: Placeholders): string {
  const { body = '' } = options;
  if (typeof body !== 'string') return JSON.stringify({ ...(filled(body, values) as object), ...members });
  const type = contentTypeOf(options);
  if (/json/i.test(type)) return fill(body, values, inJsonText);
  return fill(body, values, /urlencoded/i.test(type) ? encodeURIComponent : plain);
}

function filled(value: unknown, values: Placeholders): unknown {
  if (value === '{since}' && /^\d+$/.test(values.get('since') ?? '')) return Number(values.get('since'));
  if (typeof value === 'string') return fill(value, values, plain);
  if (Array.isArray(value)) return value.map((item) => filled(item, values));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item, values)]));
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}
