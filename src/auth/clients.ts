import type { CollectionDefinition } from '../model/definition.ts';
import type { Client } from '../model/state.ts';
import { isWithin } from '../model/tlp.ts';

/** Finds a client by the SHA-256 of its key or of its certificate, in constant time whatever the number of clients. */
export interface ClientDirectory {
  /** Another number as soon as any client is another than it was. */
  readonly generation: number;
  find(keyHash: string): Client | null;
  findByCertificate(fingerprint: string): Client | null;
}

/** Who may call: one map lookup a request. The writer sends all clients anew when one changes. */
export function createClientMap(): ClientDirectory & { replace(clients: readonly Client[]): void } {
  let byKey = new Map<string, Client>();
  let byCertificate = new Map<string, Client>();
  let generation = 0;
  return {
    get generation() {
      return generation;
    },
    replace(clients) {
      generation += 1;
      const standing = clients.filter(({ revokedAt }) => revokedAt === null);
      byKey = new Map(standing.flatMap((client) => client.keyHashes.map((hash) => [hash, client] as const)));
      byCertificate = new Map(standing.flatMap((client) => client.certificates.map((each) => [each, client] as const)));
    },
    find: (keyHash) => byKey.get(keyHash) ?? null,
    findByCertificate: (fingerprint) => byCertificate.get(fingerprint) ?? null,
  };
}

/** A collection the client was not given, or one marked above its ceiling, doesn't exist for it. */
export function mayRead(client: Client, collection: CollectionDefinition): boolean {
  return (
    (client.collections === null || client.collections.includes(collection.alias)) &&
    isWithin(collection.tlp, client.tlp)
  );
}

/** May it add objects to the collection and remove them (TAXII 2.1 section 5.2, `can_write`)? A right apart from reading. */
export function mayWrite(client: Client, { alias, contributed }: CollectionDefinition): boolean {
  return contributed === true && client.writes.includes(alias);
}
