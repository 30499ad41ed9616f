import Type, { type Static } from 'typebox';
import { durationSchema } from '../model/duration.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import { certificateSchema, type Secret, secretSchema } from '../model/secret.ts';
import { markingsUpTo } from '../stix/marking.ts';
import { renderEntry } from '../stix/render.ts';
import { type Batch, batchesOf } from './batches.ts';
import { openTarget } from './request.ts';
import type { PushReport, SinkCollection, SinkKind } from './sink.ts';
import { FRAME_BYTES, openWritable } from './taxii/writable.ts';

const optionsSchema = Type.Object(
  {
    url: Type.String({
      maxLength: 2048,
      pattern: '^https?://[^/@?#\\s]+/[^?#\\s]*$',
      'x-expects': 'the http(s) address of an API root, without user and password',
      description: 'The API root of the other server, such as https://tip.example/taxii2/root/.',
    }),
    collection: Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[^/?#\\s\\p{Cc}]+$',
      description: 'The id of its collection, which has to be writable (can_write).',
    }),
    username: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, pattern: '^[^:\\p{Cc}]+$', description: 'With password.' }),
    ),
    password: Type.Optional(secretSchema('Of username.')),
    token: Type.Optional(secretSchema('Sent as Authorization: Bearer, instead of username and password.')),
    ca: Type.Optional(certificateSchema("Who may have signed the server's certificate.")),
    batch: Type.Integer({
      default: 500,
      minimum: 1,
      maximum: 5000,
      description:
        'Objects in one request. Fewer are sent where the server takes no request as large (max_content_length).',
    }),
    status_wait: durationSchema({
      default: '60s',
      minimum: '1s',
      maximum: '600s',
      description: 'How long a server may take to say what became of a request that it accepted.',
    }),
    timeout: durationSchema({
      default: '60s',
      minimum: '1s',
      maximum: '600s',
      description: 'How long a request may take.',
    }),
  },
  { additionalProperties: false },
);
export type TaxiiOptions = Static<typeof optionsSchema>;

/** A writable collection of another TAXII 2.1 server (section 5.5). Withdrawals are told as revoked versions. */
export const taxii: SinkKind<TaxiiOptions> = {
  name: 'taxii',
  title: 'STIX objects in a writable collection of another TAXII 2.1 server',
  options: optionsSchema,
  check({ username, password, token }) {
    if ((username === undefined) !== (password === undefined)) throw invalid('username and password go together');
    if (username !== undefined && token !== undefined) throw invalid('either token, or username and password');
  },
  open(context) {
    const { options, clock, identityId } = context;
    const target = openTarget({
      url: options.url,
      ca: options.ca,
      timeout: options.timeout,
      headers: { 'user-agent': context.userAgent, ...authorizationOf(options) },
    });
    const writable = openWritable({ ...options, target, clock });
    /** Collections whose markings the server has been given since the start. */
    const introduced = new Set<string>();
    return {
      targetId: JSON.stringify([options.url, options.collection]),
      holds: 'versions',
      // A server may keep the version that came last.
      concurrency: 1,
      setup: () => [],
      install: async () => 'nothing to do',
      async push(collection, entries, signal) {
        const report: PushReport = { written: 0, unchanged: 0, refused: [], later: [] };
        if (entries.length === 0) return report;
        const maxBytes = await writable.maxBytes(signal);
        if (!introduced.has(collection.alias)) {
          const objects = [...(await context.producer()), ...markingTexts(collection)];
          await writable.add({ objects, entries: [] }, signal);
          introduced.add(collection.alias);
        }
        const render = (entry: IndicatorEntry): string =>
          renderEntry(entry, { identityId, tlpVersion: collection.tlpVersion });
        const limits = { count: options.batch, bytes: maxBytes, frame: FRAME_BYTES };
        for (const envelope of batchesOf(entries, render, limits, report.refused)) {
          addTo(report, envelope, await writable.add(envelope, signal));
        }
        return report;
      },
      needsRenewal: null,
      isEmpty: async () => false,
      sweep: async () => 0,
      close: () => target.close(),
    };
  },
};

function authorizationOf({ username, password, token }: { username?: string; password?: Secret; token?: Secret }) {
  if (token !== undefined) return { authorization: `Bearer ${token.reveal()}` };
  if (username === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password?.reveal() ?? ''}`).toString('base64')}` };
}

function markingTexts({ tlp, tlpVersion }: SinkCollection): string[] {
  return markingsUpTo(tlp, tlpVersion).map(({ raw }) => JSON.stringify(raw));
}

/** `failures`: reasons by object id, as the server gave them. An envelope holds one version of an object at most. */
function addTo(report: PushReport, { entries }: Batch, failures: ReadonlyMap<string, string>): void {
  for (const entry of entries) {
    const reason = failures.get(entry.objectId);
    if (reason === undefined) report.written += 1;
    else report.refused.push({ entry, reason });
  }
}

function invalid(message: string): GatewayError {
  return new GatewayError('config-invalid', message);
}
