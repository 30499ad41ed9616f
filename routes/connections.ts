import type { Server, Socket } from 'node:net';
import { eventLoop } from '../src/model/turns.ts';
import { addressGroup } from './address-group.ts';

export interface ConnectionBounds {
  /** Connections at a time. */
  most: number;
  /** Of one address; null: as many as there are, because all of them are a proxy's. */
  perAddress: number | null;
}

/** Which connections have a place, and which are only told that there is none. */
export interface Places {
  /** Counts what this server takes from now on. */
  watch(server: Server): void;
  /** Came when there was no place for it. On such a connection health is answered, and 503 to all else. */
  isSpare(socket: Socket): boolean;
}

/** Connections without a place that are held at a time; the next one ends the oldest, so that the newest is always heard. */
export const SPARE_PLACES = 16;
/** Silence after which a connection without a place ends. */
const SPARE_MS = 5000;

/** Gives places to connections up to the bounds. Whoever fills them all keeps nobody from asking how the gateway does. */
export function keepPlaces({ most, perAddress }: ConnectionBounds): Places {
  const ofAddress = new Map<string, number>();
  /** The oldest first. A TLS connection is another object than its socket: both have the remote end in common. */
  const spares = new Map<string, Socket>();
  let taken = 0;

  const seat = (socket: Socket, address: string): void => {
    taken += 1;
    ofAddress.set(address, (ofAddress.get(address) ?? 0) + 1);
    socket.once('close', () => {
      taken -= 1;
      const left = (ofAddress.get(address) ?? 1) - 1;
      if (left === 0) ofAddress.delete(address);
      else ofAddress.set(address, left);
    });
  };

  const spare = (socket: Socket): void => {
    const name = remoteEndOf(socket);
    for (const [oldest, held] of spares) {
      if (spares.size < SPARE_PLACES) break;
      spares.delete(oldest);
      held.destroy();
    }
    spares.set(name, socket);
    socket.setTimeout(SPARE_MS, () => socket.destroy());
    socket.once('close', () => {
      if (spares.get(name) === socket) spares.delete(name);
    });
  };

  return {
    watch(server) {
      // The last line, should one place ever be counted wrong: Node drops what is beyond without a word.
      server.maxConnections = most + 2 * SPARE_PLACES;
      server.on('connection', (socket: Socket) => {
        eventLoop.connectionArrived();
        const address = addressGroup(socket.remoteAddress ?? '');
        const isFull = taken >= most || (perAddress !== null && (ofAddress.get(address) ?? 0) >= perAddress);
        if (isFull) spare(socket);
        else seat(socket, address);
      });
    },
    isSpare: (socket) => spares.size > 0 && spares.has(remoteEndOf(socket)),
  };
}

function remoteEndOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
