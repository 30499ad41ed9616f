import Type, { type Static } from 'typebox';
import { ecsTargets } from '../../ecs/data-stream.ts';
import { pemProblems } from '../../model/certificates.ts';
import { durationSchema } from '../../model/duration.ts';
import { GatewayError } from '../../model/error.ts';
import { certificateSchema, secretSchema } from '../../model/secret.ts';

const line = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 256, pattern: '^\\P{Cc}*$', description }));

/** Parts of data stream names: what Elasticsearch allows, without the hyphen that separates them. */
const part = (description: string, default_: string) =>
  Type.String({
    default: default_,
    pattern: '^[a-z0-9][a-z0-9_.]{0,99}$',
    'x-expects': 'a-z, 0-9, _ and .',
    description,
  });

const url = Type.String({
  maxLength: 2048,
  pattern: '^https?://[^/@?#\\s]+(?:/[^?#\\s]*)?$',
  'x-expects': 'an http(s) address without user and password',
});

/** The keys of `sinks.NAME` with `type: elasticsearch`. */
export const optionsSchema = Type.Object(
  {
    node: Type.Optional(
      Type.Union([url, Type.Array(url, { minItems: 1, maxItems: 64 })], {
        description: 'Address of the cluster, or of several of its nodes. Either node or cloud_id.',
      }),
    ),
    cloud_id: line('Elastic Cloud names it on the deployment’s page.'),
    api_key: Type.Optional(secretSchema('An API key, encoded as Kibana shows it.')),
    username: line('With password; api_key is the better way.'),
    password: Type.Optional(secretSchema('Of username.')),
    ca: Type.Optional(certificateSchema("Who may have signed the cluster's certificate.")),
    ca_fingerprint: Type.Optional(
      Type.String({
        pattern: '^(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$',
        'x-expects': 'the SHA-256 of the certificate in hex',
        description: 'Trusts exactly the authority with this SHA-256, as Elasticsearch prints it at its first start.',
      }),
    ),
    target: Type.Enum([...ecsTargets], {
      default: 'latest',
      description:
        'latest: an index with the live set only. stream: a data stream with every version and a transform. compat: the index of the SOC Defenders guide.',
    }),
    stream: part('The part of the name behind logs-ti_sluice_latest. or logs-ti_sluice.; not for compat.', 'indicator'),
    namespace: part('target: stream only. The last part of the name.', 'default'),
    feed: Type.Optional(
      Type.Object(
        {
          name: line("threat.feed.name. Default: the title of the collection's only feed, else of its pool."),
          reference: line("threat.feed.reference. Default: the pool's reference, else where the only feed is read."),
          description: line("threat.feed.description. Default: the collection's description, else the pool's."),
          dashboard_id: line('threat.feed.dashboard_id.'),
        },
        { additionalProperties: false, description: 'What threat.feed.* says of every document.' },
      ),
    ),
    ioc_expiration_duration: durationSchema({
      default: '90d',
      minimum: '1d',
      maximum: '3650d',
      description: 'How long an indicator of which nobody says when it ends lives, from its last change.',
    }),
    flush_bytes: Type.Integer({
      default: 5_000_000,
      minimum: 10_000,
      maximum: 50_000_000,
      description: 'Size of one bulk request.',
    }),
    concurrency: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 16,
      description: 'Bulk requests under way at a time.',
    }),
    compression: Type.Optional(
      Type.Boolean({
        description:
          'Packs requests and answers. Default: with cloud_id on, with node off, which is faster on a fast network.',
      }),
    ),
    timeout: durationSchema({
      default: '60s',
      minimum: '1s',
      maximum: '600s',
      description: 'How long a request may take.',
    }),
  },
  { additionalProperties: false },
);
export type ElasticsearchOptions = Static<typeof optionsSchema>;

/** Checks the options as a whole. Throws `config-invalid`. */
export function checkOptions({
  node,
  cloud_id,
  api_key,
  username,
  password,
  ca,
  ca_fingerprint,
}: ElasticsearchOptions): void {
  const refuse = (message: string): never => {
    throw new GatewayError('config-invalid', message);
  };
  if ((node === undefined) === (cloud_id === undefined)) refuse('needs either node or cloud_id');
  if ((username === undefined) !== (password === undefined)) refuse('username and password go together');
  if (api_key !== undefined && username !== undefined) refuse('takes api_key or username, not both');
  if (cloud_id !== undefined && !isCloudId(cloud_id)) refuse('cloud_id is not what Elastic Cloud shows');
  if (cloud_id !== undefined && (api_key ?? password) === undefined)
    refuse('cloud_id needs api_key, or username and password');
  if (ca !== undefined && ca_fingerprint !== undefined) refuse('takes ca or ca_fingerprint, not both');
  if (cloud_id !== undefined && ca_fingerprint !== undefined) refuse('takes ca_fingerprint with node only');
  const plain = [node ?? []].flat().filter((address) => new URL(address).protocol === 'http:');
  if (plain.length > 0 && (ca ?? ca_fingerprint) !== undefined) refuse('ca and ca_fingerprint need https in node');
  for (const { message } of pemProblems({ ca })) refuse(`ca ${message}`);
  if ((api_key ?? password) !== undefined && plain.some((address) => !isLoopback(new URL(address).hostname))) {
    refuse('would send its credentials in the clear: use https in node');
  }
}

/** NAME:BASE64 of `domain$elasticsearch$kibana`. */
function isCloudId(text: string): boolean {
  const [domain, id] = Buffer.from(text.slice(text.indexOf(':') + 1), 'base64')
    .toString()
    .split('$');
  return id !== undefined && /^[\w.-]+(?::\d+)?$/.test(domain ?? '') && /^[\w-]+$/.test(id);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\./.test(host);
}
