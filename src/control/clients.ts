import Type, { type Static } from 'typebox';
import { createKey, hashKey } from '../auth/keys.ts';
import { GatewayError } from '../model/error.ts';
import { clientRoles, MAX_CERTIFICATES } from '../model/state.ts';
import { tlpLevels } from '../model/tlp.ts';
import type { VerbContext } from './context.ts';

export const newClientSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 256 }),
    /** Null: all, those added later as well. */
    collections: Type.Union([Type.Null(), Type.Array(Type.String({ maxLength: 256 }), { maxItems: 1000 })]),
    /** Contributed collections whose objects it may add and remove; none unless given. */
    writes: Type.Optional(Type.Array(Type.String({ maxLength: 256 }), { maxItems: 1000 })),
    tlp: Type.Enum([...tlpLevels]),
    /** `reader` unless it is given. */
    role: Type.Optional(Type.Enum([...clientRoles])),
    /** `max` requests in `per` milliseconds. */
    rate: Type.Object(
      { max: Type.Integer({ minimum: 1 }), per: Type.Integer({ minimum: 1 }) },
      { additionalProperties: false },
    ),
    /** Fingerprints, lower-case hex: it signs in with these certificates, and no key is made. */
    certificates: Type.Optional(
      Type.Array(Type.String({ pattern: '^[0-9a-f]{64}$' }), { minItems: 1, maxItems: MAX_CERTIFICATES }),
    ),
    /** Its key stands in the paths of lists and nowhere else; false unless given. */
    pathKey: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

export type NewClient = Static<typeof newClientSchema>;

/** The key is shown only here; null for a client that signs in with certificates. */
export type IssuedClient = NewClient & { key: string | null };

type Context = Pick<VerbContext, 'config' | 'clock' | 'store' | 'onClients'>;

/** Throws `unprocessable` when the name or a certificate is taken, or a collection is unknown or can't be written to. */
export async function addClient(
  { config, clock, store, onClients }: Context,
  client: NewClient,
): Promise<IssuedClient> {
  const unknown = (client.collections ?? []).filter((name) => !config.collections.some((c) => c.alias === name));
  if (unknown.length > 0) throw new GatewayError('unprocessable', `No such collection: ${unknown.join(', ')}.`);
  const writes = client.writes ?? [];
  const closed = writes.filter((name) => !config.collections.some((c) => c.alias === name && c.contributed));
  if (closed.length > 0)
    throw new GatewayError('unprocessable', `No contributed collection is called ${closed.join(', ')}.`);
  const certificates = client.certificates ?? [];
  const pathKey = client.pathKey ?? false;
  // What stands in a path is read by more people than a header field: it gives the right to read lists, no other.
  if (pathKey && (writes.length > 0 || certificates.length > 0 || client.role === 'operator'))
    throw new GatewayError(
      'unprocessable',
      'With a key in the path a client reads lists: no role, no writing, no certificate.',
    );
  // A client that signs in with a certificate has no key that could be lost as well.
  const key = certificates.length > 0 ? null : createKey();
  await store.transaction(async (tx) => {
    const active = (await tx.clients()).filter(({ revokedAt }) => revokedAt === null);
    if (active.some(({ name }) => name === client.name)) {
      throw new GatewayError('unprocessable', `A client called ${client.name} exists already.`);
    }
    const other = active.find((known) => certificates.some((each) => known.certificates.includes(each)));
    if (other !== undefined) {
      throw new GatewayError('unprocessable', `The client ${other.name} has this certificate already.`);
    }
    const keyHashes = key === null ? [] : [hashKey(key)];
    const role = client.role ?? 'reader';
    const rights = { writes, role, keyHashes, certificates, pathKey };
    await tx.saveClient({ ...client, ...rights, createdAt: clock.now(), revokedAt: null });
  });
  onClients(await store.clients());
  return { ...client, key };
}

const firstClient = {
  name: 'initial',
  role: 'reader',
  collections: null,
  tlp: 'amber',
  rate: { max: 600, per: 60_000 },
} as const;

/** Adds the client `initial` with the key of this hash, unless there is or was any client. Returns whether it did. */
export async function addFirstClient({ clock, store, onClients }: Context, keyHash: string): Promise<boolean> {
  const isAdded = await store.transaction(async (tx) => {
    if ((await tx.clients()).length > 0) return false;
    const fields = { createdAt: clock.now(), revokedAt: null, keyHashes: [keyHash], certificates: [], pathKey: false };
    await tx.saveClient({ ...firstClient, writes: [], ...fields });
    return true;
  });
  onClients(await store.clients());
  return isAdded;
}

/** Throws `not-found` unless there is an active client of this name. */
export async function revokeClient({ clock, store, onClients }: Context, name: string): Promise<void> {
  await store.transaction(async (tx) => {
    const client = (await tx.clients()).find((c) => c.name === name && c.revokedAt === null);
    if (client === undefined) throw new GatewayError('not-found', `No client is called ${name}.`);
    await tx.saveClient({ ...client, revokedAt: clock.now() });
  });
  onClients(await store.clients());
}
