import Type from 'typebox';
import { certificateSchema, privateKeySchema } from '../../model/secret.ts';
import { closed, line, text } from './words.ts';

/** The gateway itself: where it listens, who it is, and how TAXII, metrics and kept pages are served. */

export const listenSchema = Type.Object(
  {
    host: Type.String({
      default: '127.0.0.1',
      pattern: '^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,16})?)$',
      'x-expects': 'a host name or an IP address, without port',
      description: 'Address to listen on; of a name, the first one. Beyond loopback it needs tls or behind_proxy.',
    }),
    port: Type.Integer({ default: 8080, minimum: 0, maximum: 65535, description: '0 takes any free port.' }),
    tls: Type.Optional(
      Type.Object(
        {
          cert: certificateSchema("The server's certificate, with those that vouch for it."),
          key: privateKeySchema('Its private key, without a passphrase.'),
          client_ca: Type.Optional(
            certificateSchema('Who vouches for the certificates that clients may sign in with. Without it, keys only.'),
          ),
        },
        { ...closed, description: 'TLS 1.2 and 1.3 here, without a proxy in front.' },
      ),
    ),
    behind_proxy: Type.Boolean({
      default: false,
      description:
        'A proxy in front ends TLS: the last entry of X-Forwarded-For is who calls. Else that header is ignored.',
    }),
    max_connections: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 100_000,
      description:
        'Connections at a time; beyond it 503 is answered until one ends. Less are held where the limit of open files (ulimit -n) is too low for them.',
    }),
    max_connections_per_address: Type.Integer({
      default: 200,
      minimum: 1,
      maximum: 100_000,
      description:
        "Of these, connections of one address (an IPv6 /64 is one). Nothing with behind_proxy, where all connections are the proxy's.",
    }),
    answer_bytes: Type.Integer({
      default: 67_108_864,
      minimum: 8_388_608,
      maximum: 17_179_869_184,
      description:
        'Memory that answers under way may hold, all together, and never more than a quarter of the heap; beyond it 503 is answered. A client may hold a quarter of this, and hears 429.',
    }),
  },
  { ...closed, default: {} },
);

export const publicUrlSchema = Type.String({
  maxLength: 300,
  pattern: '^https?://(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]{2,45}\\])(?::[0-9]{1,5})?/?$',
  'x-expects': 'https://HOST or https://HOST:PORT, without a path',
  description:
    'Where clients reach the gateway, for TAXII discovery. Default: the host that a request names; behind_proxy, X-Forwarded-Host.',
});

export const identitySchema = Type.Object(
  {
    name: Type.String({ ...line('The producing identity of everything that is issued here.'), default: 'Sluice' }),
    description: Type.Optional(text('What the identity says of itself.')),
    contact: Type.Optional(
      line('Whom to ask about what is served. Feeds are told it in User-Agent, as some of them ask.'),
    ),
  },
  { ...closed, default: {} },
);

export const apiRootSchema = Type.Object(
  {
    title: Type.String({ ...line('Title of the API root (TAXII 2.1 section 4.2).'), default: 'Threat intelligence' }),
    description: Type.Optional(text('Description of the API root.')),
  },
  closed,
);

export const taxiiSchema = Type.Object(
  {
    title: Type.String({ ...line('Title of the server (TAXII 2.1 section 4.1).'), default: 'Sluice' }),
    description: Type.Optional(text('Description of the server.')),
    contact: Type.Optional(line('Contact of the server.')),
    api_roots: Type.Record(Type.String({ pattern: '^(?:/[A-Za-z0-9._~-]{1,64}){1,8}/$' }), apiRootSchema, {
      default: { '/api/taxii2/api/': {} },
      minProperties: 1,
      maxProperties: 16,
      'x-keys': 'must be a path that starts and ends with /, of letters, digits and ._~- between',
      description: 'Paths under which the collections stand.',
    }),
    page_size: Type.Integer({
      default: 1000,
      minimum: 1,
      maximum: 50_000,
      description: 'Objects in a page when a client names no limit.',
    }),
    max_page: Type.Integer({
      default: 5000,
      minimum: 1,
      maximum: 50_000,
      description: 'Most objects in a page; a larger limit is cut to it.',
    }),
  },
  { ...closed, default: {} },
);

export const metricsSchema = Type.Object(
  {
    clients: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      default: ['prometheus'],
      uniqueItems: true,
      maxItems: 100,
      description:
        'Clients that may read /metrics, which names all feeds, journals and clients. They are made like any other.',
    }),
    public: Type.Boolean({ default: false, description: 'true: anyone who reaches the port may read /metrics.' }),
  },
  { ...closed, default: {} },
);

export const cacheSchema = Type.Object(
  {
    bytes: Type.Integer({
      default: 67_108_864,
      minimum: 1_048_576,
      maximum: 17_179_869_184,
      description:
        'Memory for pages kept ready to be sent, compressed where clients take it. 64 MiB hold about a million objects.',
    }),
  },
  { ...closed, default: {} },
);
