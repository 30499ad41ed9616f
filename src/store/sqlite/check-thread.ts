import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../model/error.ts';
import { Connection, errcodeOf } from './connection.ts';

/** Runs as a thread (check.ts): reads the file that it is given and says what is wrong with it, or null. */
const CORRUPT = [11, 26];

function complaint(file: string): string | null {
  let connection: Connection | null = null;
  try {
    connection = Connection.openForReading(file);
    const [answer] = connection.get<[string]>('PRAGMA quick_check(1)') ?? [];
    return answer === 'ok' ? null : String(answer);
  } catch (error) {
    if (CORRUPT.includes(errcodeOf(error) ?? -1)) return messageOf(error);
    throw error;
  } finally {
    connection?.close();
  }
}

parentPort?.postMessage(complaint(workerData as string));
