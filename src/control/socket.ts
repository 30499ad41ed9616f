import { chmodSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import Fastify from 'fastify';
import type { Logger } from 'pino';
import { Value } from 'typebox/value';
import { Client } from 'undici';
import { GatewayError, httpStatusOf } from '../model/error.ts';
import { type ErrorJson, errorFromJson, errorToJson } from './error-json.ts';
import { reach } from './socket-path.ts';
import { type Control, controlThrough, type VerbName, verbs } from './verbs.ts';

/**
 * How commands reach a server that runs: JSON over HTTP on a Unix socket that only its owner can open. POST /VERB with the
 * arguments as an array. The answer is 200 `{"result": ...}`, or the code's status with `{"error": {code, message, details}}`.
 */

/** Requests are small; answers are bounded by the store. */
const MAX_REQUEST_BYTES = 262_144;

export interface ControlServer {
  close(): Promise<void>;
}

/**
 * Listens on `path` (mode 0600). A socket that a killed server left is removed first, which is safe because whoever serves
 * holds the data directory's lock. Errors that are no GatewayError are logged and told only as `internal`.
 * Throws `unavailable` when the socket cannot be made.
 */
export async function serveControl(
  path: string,
  control: Control,
  options: { log?: Pick<Logger, 'error'> } = {},
): Promise<ControlServer> {
  const app = Fastify({
    bodyLimit: MAX_REQUEST_BYTES,
    forceCloseConnections: true,
  });
  app.setErrorHandler((error, request, reply) => {
    const known = asGatewayError(error);
    if (known.code === 'internal') options.log?.error({ err: error }, `the command ${request.url} failed`);
    return reply.code(httpStatusOf[known.code]).send({ error: errorToJson(known) });
  });
  app.setNotFoundHandler(() => {
    throw new GatewayError('bad-request', 'The server does not know this command: is it another version?');
  });
  for (const name of Object.keys(verbs) as VerbName[]) {
    app.post(`/${name}`, async ({ body }) => {
      const run = control[name] as (...args: unknown[]) => Promise<unknown>;
      return { result: (await run(...checkedArguments(name, body))) ?? null };
    });
  }
  const reached = reach(path);
  try {
    rmSync(path, { force: true });
    await app.listen({ path: reached.path });
    chmodSync(path, 0o600);
  } catch (error) {
    await app.close();
    reached.release();
    throw new GatewayError('unavailable', `The control socket ${path} cannot be made.`, { cause: error });
  }
  return {
    async close() {
      await app.close();
      reached.release();
    },
  };
}

/** Whoever opens the socket is trusted, but may have mistyped, or be of another version. */
function checkedArguments(name: VerbName, body: unknown): unknown[] {
  const { takes } = verbs[name];
  const fits =
    Array.isArray(body) && body.length === takes.length && takes.every((schema, i) => Value.Check(schema, body[i]));
  if (!fits) throw new GatewayError('bad-request', `The arguments of ${name} are not what this server takes.`);
  return body;
}

function asGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  if (status === 413) return new GatewayError('body-too-large', 'The request is too large.');
  if (status < 500) return new GatewayError('bad-request', 'The request could not be read.');
  return new GatewayError('internal', 'The server failed at this; its log says why.');
}

export type ControlConnection = Control & { close(): Promise<void> };

/**
 * The Control of the server that listens at `path`, or null when none does. Its verbs throw what the server threw, and
 * `unavailable` when the server went away meanwhile. A poll is waited for as long as it takes.
 */
export async function connectControl(path: string): Promise<ControlConnection | null> {
  const reached = reach(path);
  if (!(await isListening(reached.path))) {
    reached.release();
    return null;
  }
  const client = new Client('http://localhost', { socketPath: reached.path, headersTimeout: 0, bodyTimeout: 0 });
  const control = controlThrough(async (verb, args) => {
    const reply = await send(client, verb, args);
    if ('result' in reply) return reply.result;
    throw errorFromJson(reply.error);
  });
  const close = async (): Promise<void> => {
    await client.close();
    reached.release();
  };
  return { ...control, close };
}

type Reply = { result: unknown } | { error: ErrorJson };

async function send(client: Client, verb: VerbName, args: unknown[]): Promise<Reply> {
  try {
    const headers = { 'content-type': 'application/json' };
    const response = await client.request({ path: `/${verb}`, method: 'POST', headers, body: JSON.stringify(args) });
    return (await response.body.json()) as Reply;
  } catch (error) {
    throw new GatewayError('unavailable', 'The server went away before it answered.', { cause: error });
  }
}

/** Does a server listen there? The file of the socket alone proves nothing. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
}
