import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import type { Millis } from '../../src/model/clock.ts';
import { GatewayError } from '../../src/model/error.ts';
import type { Operation } from '../methods.ts';
import { type OperationText, operation } from '../operation.ts';
import type { RouteContext } from '../parts.ts';
import { problemForm } from '../problem.ts';
import { audit } from './operators.ts';
import { runningSchema } from './schemas.ts';

const form = problemForm('Control', 'operators');
export const json = (description: string, schema: TSchema) => ({
  description,
  content: { 'application/json': schema },
});

/** Some verbs may take minutes, longer than a connection lives. After this time the answer is 202. */
const WAIT_MS: Millis = 30_000;
export const accepted = json('It takes longer than 30 seconds and goes on; the log says how it ends.', runningSchema);

/** Runs a verb, audits how it ended, and answers with its report. `run` returns the report and the word for its outcome. */
export function controlOperation(
  text: OperationText,
  run: (request: FastifyRequest, reply: FastifyReply) => Promise<[report: unknown, outcome: string]>,
): Operation {
  return operation(text, form, async (request, reply) => {
    try {
      const [report, outcome] = await run(request, reply);
      audit(request, outcome);
      return report;
    } catch (error) {
      audit(request, codeOf(error));
      throw error;
    }
  });
}

/** The verb's report if it ends in time. Else 202, and how it ended is audited once it has. */
export async function withinWait<Report>(
  { clock }: RouteContext,
  request: FastifyRequest,
  reply: FastifyReply,
  verb: Promise<Report>,
  outcomeOf: (report: Report) => string,
): Promise<[unknown, string]> {
  const over = new AbortController();
  const late = clock.sleep(WAIT_MS, over.signal).then(
    () => null,
    () => null,
  );
  const report = await Promise.race([verb, late]).finally(() => over.abort());
  if (report !== null) return [report, outcomeOf(report)];
  verb.then(
    (ended) => audit(request, outcomeOf(ended)),
    (error: unknown) => audit(request, codeOf(error)),
  );
  reply.code(202);
  return [{ outcome: 'running' }, 'running'];
}

function codeOf(error: unknown): string {
  return error instanceof GatewayError ? error.code : 'internal';
}
