import { createKey, hashKey } from '../auth/keys.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../model/clock.ts';
import type { Control } from '../model/control.ts';
import { GatewayError } from '../model/error.ts';
import type { Client } from '../model/state.ts';
import type { Writer } from '../store/store.ts';

export interface ClientAdministration extends Pick<Control, 'addClient' | 'listClients' | 'revokeClient'> {
  /** Adds the client `initial` with the key of this hash, unless there is or was any client; answers whether it did. */
  addFirstClient(keyHash: string): Promise<boolean>;
}

const firstClient = { name: 'initial', collections: null, tlp: 'amber', rate: { max: 600, per: 60_000 } } as const;

/** Who may read: added, listed and revoked; `onClients` hears of every change once it is committed. */
export function administerClients(
  { collections }: Pick<Config, 'collections'>,
  { clock, writer, onClients }: { clock: Clock; writer: Writer; onClients(clients: Client[]): void },
): ClientAdministration {
  return {
    async addClient(client) {
      const unknown = (client.collections ?? []).filter((name) => !collections.some((c) => c.alias === name));
      if (unknown.length > 0) throw new GatewayError('unprocessable', `No such collection: ${unknown.join(', ')}.`);
      const certificates = client.certificates ?? [];
      // Who signs in with a certificate has no key that could be lost as well.
      const key = certificates.length > 0 ? null : createKey();
      await writer.transaction(async (tx) => {
        const standing = (await tx.clients()).filter(({ revokedAt }) => revokedAt === null);
        if (standing.some(({ name }) => name === client.name)) {
          throw new GatewayError('unprocessable', `A client called ${client.name} exists already.`);
        }
        const other = standing.find((known) => certificates.some((each) => known.certificates.includes(each)));
        if (other !== undefined) {
          throw new GatewayError('unprocessable', `The client ${other.name} has this certificate already.`);
        }
        const keyHashes = key === null ? [] : [hashKey(key)];
        await tx.saveClient({ ...client, createdAt: clock.now(), revokedAt: null, keyHashes, certificates });
      });
      onClients(await writer.clients());
      return { ...client, key };
    },

    async addFirstClient(keyHash) {
      const isFirst = await writer.transaction(async (tx) => {
        if ((await tx.clients()).length > 0) return false;
        const standing = { createdAt: clock.now(), revokedAt: null, keyHashes: [keyHash], certificates: [] };
        await tx.saveClient({ ...firstClient, ...standing });
        return true;
      });
      onClients(await writer.clients());
      return isFirst;
    },

    listClients: () => writer.clients(),

    async revokeClient(name) {
      await writer.transaction(async (tx) => {
        const client = (await tx.clients()).find((c) => c.name === name && c.revokedAt === null);
        if (client === undefined) throw new GatewayError('not-found', `No client is called ${name}.`);
        await tx.saveClient({ ...client, revokedAt: clock.now() });
      });
      onClients(await writer.clients());
    },
  };
}
