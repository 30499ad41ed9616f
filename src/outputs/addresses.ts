import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import Type from 'typebox';
import { type LineFormat, lineOutput } from './lines.ts';

/** Addresses and networks as firewalls write them. */

export interface AddressOptions {
  prefixes: 'cidr' | 'range' | 'hosts';
}

/** For formats whose readers take addresses in several forms. */
export const addressOptions = {
  prefixes: Type.Enum(['cidr', 'range', 'hosts'], {
    default: 'cidr',
    description:
      'how networks are written: as CIDR; as `first-last`; as each of their addresses, up to 256, else they are left out.',
  }),
};

/** A format that is a list of addresses and networks, and no more than that. */
export function addressList(text: Pick<LineFormat<AddressOptions>, 'name' | 'title' | 'readers' | 'comment'>) {
  return lineOutput<AddressOptions>({
    ...text,
    types: ['ipv4', 'ipv6'],
    options: addressOptions,
    linesOf: ({ value }, { prefixes }) => linesOfAddress(value, prefixes),
  });
}

/** Most addresses of a network that are written one by one. */
const MOST_HOSTS = 256n;

/** Is it an address or a network in canonical form? */
export function isAddress(value: string): boolean {
  const [address = '', prefix, ...more] = value.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0 || !(family === 4 ? /^[0-9.]+$/ : /^[0-9a-f:]+$/).test(address)) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** The lines of an address or network; null for what is none, and for a network of too many addresses. */
export function linesOfAddress(value: string, prefixes: AddressOptions['prefixes']): string[] | null {
  if (!isAddress(value)) return null;
  if (prefixes === 'cidr' || !value.includes('/')) return [value];
  const { first, bits, prefix } = networkOf(value);
  const count = 1n << BigInt(bits - prefix);
  if (prefixes === 'range') return [`${addressText(first, bits)}-${addressText(first + count - 1n, bits)}`];
  if (count > MOST_HOSTS) return null;
  return Array.from({ length: Number(count) }, (_, i) => addressText(first + BigInt(i), bits));
}

export interface Network {
  first: bigint;
  /** Of an address: 32 or 128. */
  bits: number;
  prefix: number;
}

/** Of a canonical address or network. */
export function networkOf(value: string): Network {
  const [address = '', prefix] = value.split('/');
  const bytes = ipaddr.parse(address).toByteArray();
  const bits = bytes.length * 8;
  const first = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return { first, bits, prefix: prefix === undefined ? bits : Number(prefix) };
}

/** In canonical form. */
export function networkText({ first, bits, prefix }: Network): string {
  return prefix === bits ? addressText(first, bits) : `${addressText(first, bits)}/${prefix}`;
}

function addressText(address: bigint, bits: number): string {
  const bytes = Array.from({ length: bits / 8 }, (_, i) => Number((address >> BigInt(bits - 8 * (i + 1))) & 0xffn));
  return bits === 32 ? bytes.join('.') : new ipaddr.IPv6(bytes).toRFC5952String();
}
