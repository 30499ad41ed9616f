import { createHmac } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { MICROS_PER_SECOND } from '../model/clock.ts';
import { durationSchema } from '../model/duration.ts';
import type { IndicatorEntry } from '../model/entry.ts';
import { GatewayError } from '../model/error.ts';
import { certificateSchema, type Secret, secretSchema } from '../model/secret.ts';
import { iocOf } from '../outputs/ioc.ts';
import { renderEntry } from '../stix/render.ts';
import { batchesOf, MOST_BYTES } from './batches.ts';
import { openTarget, quote, type TargetAnswer } from './request.ts';
import { PushRejected, type PushReport, type SinkKind } from './sink.ts';

const optionsSchema = Type.Object(
  {
    url: Type.String({
      maxLength: 2048,
      pattern: '^https?://[^/@?#\\s]+(?:/[^#\\s]*)?$',
      'x-expects': 'an http(s) address without user and password',
      description: 'Where entries are posted to.',
    }),
    secret: secretSchema('What requests are signed with; the receiver has the same.'),
    format: Type.Enum(['ioc', 'stix'], {
      default: 'ioc',
      description: 'ioc: entries as /api/v1/iocs shows them; stix: STIX 2.1 objects.',
    }),
    batch: Type.Integer({ default: 500, minimum: 1, maximum: 5000, description: 'Entries in one request.' }),
    ca: Type.Optional(certificateSchema("Who may have signed the receiver's certificate.")),
    timeout: durationSchema({
      default: '30s',
      minimum: '1s',
      maximum: '600s',
      description: 'How long a request may take.',
    }),
  },
  { additionalProperties: false },
);
export type WebhookOptions = Static<typeof optionsSchema>;

/** Posts entries to an address, signed. Withdrawals are told as entries of their own. */
export const webhook: SinkKind<WebhookOptions> = {
  name: 'webhook',
  title: 'signed JSON, posted to an address of your own',
  options: optionsSchema,
  check: () => undefined,
  open({ options, clock, identityId, userAgent }) {
    const url = new URL(options.url);
    const target = openTarget({ ...options, headers: { 'user-agent': userAgent, 'content-type': 'application/json' } });
    return {
      targetId: JSON.stringify([options.url, options.format]),
      holds: 'versions',
      // A receiver may keep the version that came last.
      concurrency: 1,
      setup: () => [],
      install: async () => 'nothing to do',
      async push({ alias, tlpVersion }, entries, signal) {
        const report: PushReport = { written: 0, unchanged: 0, refused: [], later: [] };
        const render = (entry: IndicatorEntry): string =>
          options.format === 'stix' ? renderEntry(entry, { identityId, tlpVersion }) : JSON.stringify(told(entry));
        const opening = `{"collection":${JSON.stringify(alias)},"format":"${options.format}","entries":[`;
        const closing = ']}';
        const frame = Buffer.byteLength(opening) + closing.length;
        for (const batch of batchesOf(
          entries,
          render,
          { count: options.batch, bytes: MOST_BYTES, frame },
          report.refused,
        )) {
          const body = `${opening}${batch.objects.join(',')}${closing}`;
          const seconds = String(Math.floor(clock.now() / MICROS_PER_SECOND));
          const headers = {
            'x-sluice-timestamp': seconds,
            'x-sluice-signature': `sha256=${signatureOf(options.secret, seconds, body)}`,
          };
          require2xx(await target.send({ method: 'POST', url, headers, body }, signal), target.where);
          report.written += batch.entries.length;
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

/** An entry as REST shows it; a withdrawal has `revoked` and its reason besides. */
function told(entry: IndicatorEntry): object {
  return { ...iocOf(entry), ...(entry.revoked ? { revoked: true, reason: entry.reason } : {}) };
}

/** Hex, over the time as it is sent, a dot, and the body: neither can be changed, and an old request can be told from a new one. */
function signatureOf(secret: Secret, seconds: string, body: string): string {
  return createHmac('sha256', secret.reveal()).update(`${seconds}.${body}`).digest('hex');
}

function require2xx({ status, body }: TargetAnswer, where: string): void {
  if (status >= 200 && status < 300) return;
  const message = `${where} answered ${status}: ${quote(body)}`;
  if (status < 400) throw new GatewayError('sink-refused', `${where} answered ${status}; redirects are not followed.`);
  if (status === 408) throw new GatewayError('sink-unavailable', message);
  throw new PushRejected(status < 500 ? 'sink-refused' : 'sink-unavailable', message);
}
