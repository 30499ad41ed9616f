import type { Server, Socket } from 'node:net';
import { eventLoop } from '../src/model/turns.ts';
import { addressGroup } from './address-group.ts';

export interface ConnectionBounds {
  /** Connections at a time. */
  most: number;
  /** Of one address; null: no bound, because all of them are a proxy's. */
  perAddress: number | null;
}

/** Counts connections. Those over the limit are taken as well, and only told so. */
export interface ConnectionLimits {
  /** Counts what this server takes from now on. */
  watch(server: Server): void;
  /** Is the connection over the limit? On such a one, what anyone may read is answered, and 503 to all else. */
  isOverLimit(socket: Socket): boolean;
}

/** Connections over the limit that are kept open; the next one closes the oldest, so that the newest always gets an answer. */
export const MAX_OVER_LIMIT = 16;
/** A connection over the limit is closed after being idle for this long. */
const OVER_LIMIT_IDLE_MS = 5000;

/** Limits connections. When the limit is reached, health can still be asked for on a new connection. */
export function limitConnections({ most, perAddress }: ConnectionBounds): ConnectionLimits {
  const ofAddress = new Map<string, number>();
  /** The oldest first. By remote end, because a TLS connection is another object than its socket. */
  const overLimit = new Map<string, Socket>();
  let counted = 0;

  const count = (socket: Socket, address: string): void => {
    counted += 1;
    ofAddress.set(address, (ofAddress.get(address) ?? 0) + 1);
    socket.once('close', () => {
      counted -= 1;
      const left = (ofAddress.get(address) ?? 1) - 1;
      if (left === 0) ofAddress.delete(address);
      else ofAddress.set(address, left);
    });
  };

  const keepOverLimit = (socket: Socket): void => {
    const name = remoteEndOf(socket);
    for (const [oldest, other] of overLimit) {
      if (overLimit.size < MAX_OVER_LIMIT) break;
      overLimit.delete(oldest);
      other.destroy();
    }
    overLimit.set(name, socket);
    socket.setTimeout(OVER_LIMIT_IDLE_MS, () => socket.destroy());
    socket.once('close', () => {
      if (overLimit.get(name) === socket) overLimit.delete(name);
    });
  };

  return {
    watch(server) {
      // A second bound, in case the count is ever wrong: Node drops connections beyond it without an answer.
      server.maxConnections = most + 2 * MAX_OVER_LIMIT;
      server.on('connection', (socket: Socket) => {
        eventLoop.connectionArrived();
        const address = addressGroup(socket.remoteAddress ?? '');
        const isFull = counted >= most || (perAddress !== null && (ofAddress.get(address) ?? 0) >= perAddress);
        if (isFull) keepOverLimit(socket);
        else count(socket, address);
      });
    },
    isOverLimit: (socket) => overLimit.size > 0 && overLimit.has(remoteEndOf(socket)),
  };
}

function remoteEndOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
