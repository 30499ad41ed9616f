import type { Client } from '../../model/state.ts';

export interface ClientReader {
  /** All clients, revoked ones included, ascending by name; key hashes and certificates of each ascending. */
  clients(): Promise<Client[]>;
}

export interface ClientWriter {
  /** Inserts or replaces by name. Throws `store-failed` for a key hash that another client has. */
  saveClient(client: Client): Promise<void>;
}
