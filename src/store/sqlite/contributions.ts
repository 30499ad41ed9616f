import type { Micros } from '../../model/clock.ts';
import type { ContributedObject } from '../../model/contribution.ts';
import type { ContributionReader, ContributionWriter } from '../contract/contributions.ts';
import { requireLimit } from '../misuse.ts';
import type { Sync } from '../synchronous.ts';
import type { Connection } from './connection.ts';

export function readContributions(connection: Connection): Sync<ContributionReader> {
  return {
    contribution(id) {
      const row = connection.get<[string, Micros, string, string]>(
        'SELECT client, at, taken, refused FROM contributions WHERE id = ?',
        id,
      );
      if (row === undefined) return null;
      const [client, at, taken, refused] = row;
      return { id, client, at, taken: objectsOf(taken), refused: objectsOf(refused) };
    },
  };
}

export function writeContributions(connection: Connection): Sync<ContributionWriter> {
  return {
    saveContribution({ id, client, at, taken, refused }) {
      connection.run(
        'INSERT INTO contributions VALUES (?, ?, ?, ?, ?)',
        id,
        client,
        at,
        JSON.stringify(taken),
        JSON.stringify(refused),
      );
    },

    forgetContributions(client, before, most) {
      connection.run('DELETE FROM contributions WHERE at < ?', before);
      connection.run(
        `DELETE FROM contributions WHERE rowid IN
           (SELECT rowid FROM contributions WHERE client = ? ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?)`,
        client,
        requireLimit(most, 0),
      );
    },
  };
}

function objectsOf(text: string): ContributedObject[] {
  return JSON.parse(text);
}
