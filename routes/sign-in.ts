import { isIP, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import basicAuth from '@fastify/basic-auth';
import rateLimit, { type FastifyRateLimitStoreCtor } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ClientDirectory } from '../src/auth/clients.ts';
import { hashKey } from '../src/auth/keys.ts';
import { GatewayError } from '../src/model/error.ts';
import type { Client } from '../src/model/state.ts';
import { addressGroup } from './address-group.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling; set before any handler of a protected scope runs. */
    client: Client;
  }
}

/** Who may call some routes without a key. */
export interface Guests {
  /** As whom a caller that brings no key may call from this address; null: as nobody. */
  find(request: FastifyRequest, address: string): Client | null;
  /** How a refused call is answered. */
  refuse(request: FastifyRequest, error: GatewayError): GatewayError;
}

/** Failed sign-ins an address may have in a minute before it hears 429; a good key is never held up by them. */
const FAILED_SIGN_INS = 20;
const MINUTE_MS = 60_000;

/**
 * Makes a scope answer known clients only, each at its own rate. Basic (any user, the key as password), Bearer, Token and
 * X-API-Key carry the key, or the path where a route has a parameter `token`; where none is brought, a certificate of the connection may speak for it, or `guests` know the caller's address.
 * What clients spend is counted in `store`. Throws `unauthenticated` (401) and `rate-limited` (429) to the scope's error handler.
 */
export async function protect(
  scope: FastifyInstance,
  clients: ClientDirectory,
  store: FastifyRateLimitStoreCtor,
  guests: Guests,
): Promise<void> {
  await scope.register(rateLimit, {
    global: true,
    store,
    // Before a body is read or a query judged: what is refused counts as well.
    hook: 'preParsing',
    max: (request: FastifyRequest) => request.client.rate.max,
    timeWindow: (request: FastifyRequest) => request.client.rate.per,
    keyGenerator: (request: FastifyRequest) => request.client.name,
    enableDraftSpec: true,
    errorResponseBuilder: (_, { ttl }) => tooMany('This client has used up its rate.', ttl),
  });
  const countFailure = scope.createRateLimit({
    max: FAILED_SIGN_INS,
    timeWindow: MINUTE_MS,
    keyGenerator: (request: FastifyRequest) => addressGroup(callerOf(request)),
  });
  await scope.register(basicAuth, {
    authenticate: false,
    validate: async (_user: string, password: string, request: FastifyRequest) => {
      request.client = known(clients, password);
    },
  });
  scope.decorateRequest('client', null as unknown as Client);
  const refusalOf = async (request: FastifyRequest, error: unknown): Promise<GatewayError> => {
    const failure = bringsKey(request) ? await countFailure(request) : null;
    if (failure?.isAllowed === false && failure.isExceeded) return tooMany('Too many failed sign-ins.', failure.ttl);
    if (error instanceof GatewayError) return error;
    return new GatewayError('unauthenticated', 'A key is needed: Basic with the key as password, or Bearer.');
  };
  const signIns = new WeakMap<Socket, SignIn>();
  // No promise on the way of a good key: it is every request's way.
  scope.addHook('onRequest', (request, reply, done) => {
    const refuse = (error: unknown): void =>
      void refusalOf(request, error).then((refusal) => done(guests.refuse(request, refusal)), done);
    const token = tokenOf(request);
    if (token !== null) {
      // Nothing is remembered of it: the next request of the connection must say its own key.
      try {
        request.client = known(clients, token, true);
      } catch (error) {
        return refuse(error);
      }
      return done();
    }
    const { socket } = request.raw;
    const { generation } = clients;
    const before = signIns.get(socket);
    if (before?.generation === generation && isRepeated(before, request)) {
      request.client = before.client;
      return done();
    }
    const admit = (): void => {
      const { headers, client } = request;
      if ((headers.authorization?.length ?? 0) <= MAX_REMEMBERED)
        signIns.set(socket, { authorization: headers.authorization, apiKey: headers['x-api-key'], client, generation });
      done();
    };
    const guest = bringsKey(request) ? null : guests.find(request, callerOf(request));
    if (guest !== null) {
      request.client = guest;
      return done();
    }
    try {
      const key = keyOf(request);
      const fingerprint = key === null ? certificateOf(request) : null;
      if (key !== null) request.client = known(clients, key);
      else if (request.headers.authorization === undefined && fingerprint !== null) {
        request.client = shown(clients, fingerprint);
      } else return scope.basicAuth(request, reply, (error) => (error ? refuse(error) : admit()));
    } catch (error) {
      return refuse(error);
    }
    admit();
  });
}

/** Longer words are looked at each time: a connection must not hold what its client made up beside a good key. */
const MAX_REMEMBERED = 1024;

/** The last one that succeeded on a connection, and in what words: most clients say the same each time. */
interface SignIn {
  authorization: string | undefined;
  apiKey: string | string[] | undefined;
  client: Client;
  /** Of the clients, read before the look: when one changes, all are looked up anew. */
  generation: number;
}

function isRepeated({ authorization, apiKey }: SignIn, { headers }: FastifyRequest): boolean {
  return headers.authorization === authorization && headers['x-api-key'] === apiKey;
}

function tooMany(message: string, ttl: number): GatewayError {
  return new GatewayError('rate-limited', message, { retryAfter: Math.max(1, Math.ceil(ttl / 1000)) });
}

/** A key that may stand in a path is good there only, and any other key elsewhere only. */
function known(clients: ClientDirectory, key: string, isInPath = false): Client {
  const client = clients.find(hashKey(key));
  if (client === null || client.pathKey !== isInPath)
    throw new GatewayError('unauthenticated', 'The key is not known, or was revoked.');
  return client;
}

function shown(clients: ClientDirectory, fingerprint: string): Client {
  const client = clients.findByCertificate(fingerprint);
  if (client === null)
    throw new GatewayError('unauthenticated', 'The certificate is not known, or its client was revoked.');
  return client;
}

const fingerprints = new WeakMap<object, string | null>();

/** Of the certificate that the connection was opened with; null without one, or when `client_ca` does not vouch for it. */
function certificateOf({ raw: { socket } }: FastifyRequest): string | null {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
  let fingerprint = fingerprints.get(socket);
  if (fingerprint === undefined) {
    const certificate = socket.getPeerX509Certificate();
    fingerprint = certificate?.fingerprint256.replaceAll(':', '').toLowerCase() ?? null;
    fingerprints.set(socket, fingerprint);
  }
  return fingerprint;
}

/** Is something tried at all? Many clients wait to be asked for a key (RFC 9110 section 11.6.1), before every request. */
function bringsKey(request: FastifyRequest): boolean {
  const { headers } = request;
  return tokenOf(request) !== null || headers.authorization !== undefined || headers['x-api-key'] !== undefined;
}

/** The key in the path, where the route has one there. */
function tokenOf({ params }: FastifyRequest): string | null {
  return (params as { token?: string } | undefined)?.token ?? null;
}

/** The key of every way but Basic; null when there is none. */
function keyOf({ headers }: FastifyRequest): string | null {
  const named = headers['x-api-key'];
  if (typeof named === 'string' && named !== '') return named;
  const match = /^(?:bearer|token) +(\S+) *$/i.exec(headers.authorization ?? '');
  return match?.[1] ?? null;
}

/**
 * The address that calls. What a proxy in front wrote counts where it is one, with a port behind it or not: other text would be
 * another caller in each request, and each be remembered.
 */
function callerOf({ ip, socket }: FastifyRequest): string {
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(ip)?.[1] ?? /^([^:]*):\d+$/.exec(ip)?.[1] ?? ip;
  return isIP(address) === 0 ? (socket.remoteAddress ?? '') : address;
}
