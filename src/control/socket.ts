import { chmodSync, closeSync, openSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import Fastify from 'fastify';
import type { Logger } from 'pino';
import Type, { type TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { Client } from 'undici';
import type { Control } from '../model/control.ts';
import { type ErrorCode, GatewayError, httpStatusOf } from '../model/error.ts';
import { MAX_CERTIFICATES } from '../model/state.ts';
import { tlpLevels } from '../model/tlp.ts';

/**
 * The way in for commands while a server runs: JSON over HTTP on a Unix socket that only its owner can open. POST /METHOD
 * with the arguments as an array; 200 `{"result": ...}`, or the code's status with `{"error": {code, message, details}}`.
 */

export function socketPathOf(data: string): string {
  return join(data, 'sluice.sock');
}

/** The arguments of each method: the socket's owner is trusted, a typo or another version is not. */
const methods: Record<keyof Control, TSchema[]> = {
  poll: [Type.String({ maxLength: 256 })],
  status: [],
  rejections: [Type.String({ maxLength: 256 }), Type.Integer({ minimum: 0, maximum: 10_000 })],
  addClient: [
    Type.Object(
      {
        name: Type.String({ minLength: 1, maxLength: 256 }),
        collections: Type.Union([Type.Null(), Type.Array(Type.String({ maxLength: 256 }), { maxItems: 1000 })]),
        tlp: Type.Enum([...tlpLevels]),
        rate: Type.Object(
          { max: Type.Integer({ minimum: 1 }), per: Type.Integer({ minimum: 1 }) },
          { additionalProperties: false },
        ),
        certificates: Type.Optional(
          Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), { minItems: 1, maxItems: MAX_CERTIFICATES }),
        ),
      },
      { additionalProperties: false },
    ),
  ],
  listClients: [],
  revokeClient: [Type.String({ maxLength: 256 })],
  setUpSink: [Type.String({ maxLength: 256 }), Type.Boolean()],
  deadLetters: [Type.String({ maxLength: 256 }), Type.Integer({ minimum: 0, maximum: 10_000 })],
  retrySink: [Type.String({ maxLength: 256 })],
  rebuildSink: [Type.String({ maxLength: 256 })],
  rebuildProgress: [Type.String({ maxLength: 256 })],
};

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
    const { code, message, details, retryAfter } = known;
    return reply.code(httpStatusOf[code]).send({ error: { code, message, details, retryAfter } });
  });
  app.setNotFoundHandler(() => {
    throw new GatewayError('bad-request', 'The server does not know this command: is it another version?');
  });
  for (const [name, schemas] of Object.entries(methods)) {
    app.post(`/${name}`, async (request) => {
      const args = checkedArguments(name, schemas, request.body);
      const method = control[name as keyof Control] as (...args: unknown[]) => Promise<unknown>;
      return { result: (await method.apply(control, args)) ?? null };
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

function checkedArguments(name: string, schemas: TSchema[], body: unknown): unknown[] {
  const fits =
    Array.isArray(body) && body.length === schemas.length && schemas.every((schema, i) => Value.Check(schema, body[i]));
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
 * The Control of the server that listens at `path`, or null when none does. Its methods throw what the server threw, and
 * `unavailable` when the server went away meanwhile. A poll is waited for as long as it takes.
 */
export async function connectControl(path: string): Promise<ControlConnection | null> {
  const reached = reach(path);
  if (!(await answers(reached.path))) {
    reached.release();
    return null;
  }
  const client = new Client('http://localhost', { socketPath: reached.path, headersTimeout: 0, bodyTimeout: 0 });
  const call = async (method: string, args: unknown[]): Promise<unknown> => {
    const reply = await send(client, method, args);
    if ('result' in reply) return reply.result;
    const { code, message, details, retryAfter } = reply.error;
    throw new GatewayError(code in httpStatusOf ? code : 'internal', message, {
      ...(details === undefined ? {} : { details }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    });
  };
  const calls = Object.keys(methods).map((method) => [method, (...args: unknown[]) => call(method, args)] as const);
  const close = async (): Promise<void> => {
    await client.close();
    reached.release();
  };
  return { ...(Object.fromEntries(calls) as unknown as Control), close };
}

type Reply =
  | { result: unknown }
  | { error: { code: ErrorCode; message: string; details?: Record<string, string>; retryAfter?: number } };

async function send(client: Client, method: string, args: unknown[]): Promise<Reply> {
  try {
    const headers = { 'content-type': 'application/json' };
    const response = await client.request({ path: `/${method}`, method: 'POST', headers, body: JSON.stringify(args) });
    return (await response.body.json()) as Reply;
  } catch (error) {
    throw new GatewayError('unavailable', 'The server went away before it answered.', { cause: error });
  }
}

/** Is anybody listening? A socket file alone proves nothing. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
}

/** `sun_path` of sockaddr_un without its closing zero: 108 bytes on Linux, 104 on BSD and macOS (unix(7)). */
const MAX_SOCKET_PATH = 103;

/** A path that fits the kernel's limit and leads to the same socket. */
function reach(path: string): { path: string; release(): void } {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return { path, release: () => {} };
  if (process.platform !== 'linux') {
    throw new GatewayError(
      'unavailable',
      `The path ${path} is too long for a socket: choose a data directory with a shorter one.`,
    );
  }
  // Through the open directory, as Linux names it: short, whatever the directory's own path is.
  let directory: number;
  try {
    directory = openSync(dirname(path), 'r');
  } catch {
    // No such directory: no socket in it either.
    return { path: join('/proc/self/fd/none', basename(path)), release: () => {} };
  }
  return { path: `/proc/self/fd/${directory}/${basename(path)}`, release: () => closeSync(directory) };
}
