import ipaddr from 'ipaddr.js';
import { defaultReach } from '../../model/definition.ts';
import type { Rejection } from '../../model/observation.ts';

/** `first-last`, as lists write the addresses from the one to the other. */
const RANGE = /^([\da-f.:]+)\s*-\s*([\da-f.:]+)$/i;

/**
 * The fewest networks that hold exactly the addresses of a range, at most 62 for IPv4 and 254 for IPv6; null for a text that is no
 * range. A range that holds more addresses than the largest network that a feed may name by default is refused as a whole.
 */
export function networksOfRange(text: string): string[] | Pick<Rejection, 'reason' | 'detail'> | null {
  const [, from, to] = RANGE.exec(text) ?? [];
  if (from === undefined || to === undefined) return null;
  const [first, last] = [addressOf(from), addressOf(to)];
  if (first === null || last === null) return null;
  if (first.length !== last.length) return { reason: 'bad-value', detail: 'a range from IPv4 to IPv6' };
  const bits = first.length * 8;
  const [start, end] = [numberOf(first), numberOf(last)];
  if (start > end) return { reason: 'bad-value', detail: 'a range whose last address comes before its first' };
  const shortest = defaultReach.minPrefix[bits === 32 ? 'ipv4' : 'ipv6'];
  if (end - start >= 1n << BigInt(bits - shortest)) {
    return { reason: 'too-wide', detail: `a range of more addresses than a /${shortest} has` };
  }
  return [...networksBetween(start, end, bits)].map(([address, prefix]) => {
    const network = ipaddr.fromByteArray(bytesOf(address, bits)).toString();
    return prefix === bits ? network : `${network}/${prefix}`;
  });
}

/** The bytes of an address; null for other texts, among them the short and octal forms of IPv4, which readers read differently. */
function addressOf(text: string): number[] | null {
  const isSound = text.includes(':') ? ipaddr.IPv6.isValid(text) : ipaddr.IPv4.isValidFourPartDecimal(text);
  return isSound ? ipaddr.parse(text).toByteArray() : null;
}

/** The largest network that begins at `start` and does not pass `end`, then the next. */
function* networksBetween(start: bigint, end: bigint, bits: number): Generator<[address: bigint, prefix: number]> {
  for (let at = start; at <= end; ) {
    let free = 0;
    while (free < bits && (at >> BigInt(free)) % 2n === 0n && at + (1n << BigInt(free + 1)) - 1n <= end) free += 1;
    yield [at, bits - free];
    at += 1n << BigInt(free);
  }
}

function numberOf(bytes: readonly number[]): bigint {
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function bytesOf(address: bigint, bits: number): number[] {
  return Array.from({ length: bits / 8 }, (_, i) => Number((address >> BigInt(bits - 8 * (i + 1))) & 0xffn));
}
