import ipaddr from 'ipaddr.js';
import { badValue, type Parsed, parsePort, type Refusal } from './parsed.ts';
import { refang } from './refang.ts';

/**
 * IPv4 and IPv6 addresses and networks. Canonical: four plain decimals; RFC 5952 text; a network by its first address,
 * and by the bare address when it holds only that one.
 */

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
/** Four decimals without leading zeros: `010` is 8 to some readers and 10 to others (RFC 6943 section 3.1.1). */
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
/** Address, then `/prefix`, or a port as `:443` or MISP's `|443`. */
const IPV4_WITH = /^([\d.]+)(?:\/(\d{1,3})|[:|](\d{1,5}))$/;
const IPV6_WITH = /^(?:\[([\da-f:.]+)\]|([\da-f:.]+))(?:\/(\d{1,3}))?(?:(?::|\|)(\d{1,5}))?$/i;

export function parseIpv4(text: string): Parsed {
  const plain = refang(text);
  if (IPV4.test(plain)) return { observable: { type: 'ipv4', value: plain } };
  const match = IPV4_WITH.exec(plain);
  const address = match?.[1] ?? '';
  if (match === null || !IPV4.test(address)) return badValue(faultOfIpv4(plain));
  if (match[3] !== undefined) return withPort({ type: 'ipv4', value: address }, match[3]);
  return networkOf4(address, Number(match[2]));
}

function faultOfIpv4(text: string): string {
  return /^[\d.]+$/.test(text)
    ? 'not four decimals from 0 to 255 without leading zeros'
    : 'not an IPv4 address or network';
}

function withPort(observable: { type: 'ipv4' | 'ipv6'; value: string }, text: string): Parsed {
  const port = parsePort(text);
  return port === null ? badValue(`port ${text}`) : { observable, port };
}

function networkOf4(address: string, bits: number): Parsed {
  const fault = faultOfPrefix(bits, 32);
  if (fault !== null) return fault;
  if (bits === 32) return { observable: { type: 'ipv4', value: address } };
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  const mask = (0xffffffff << (32 - bits)) >>> 0;
  const first = (((a << 24) | (b << 16) | (c << 8) | d) & mask) >>> 0;
  const value = `${first >>> 24}.${(first >>> 16) & 255}.${(first >>> 8) & 255}.${first & 255}/${bits}`;
  return { observable: { type: 'ipv4', value } };
}

/** /0 is every address: no indicator, and in a block list it would block everything. */
function faultOfPrefix(bits: number, longest: number): Refusal | null {
  if (bits > longest) return badValue(`prefix /${bits}`);
  return bits === 0 ? badValue('a network of all addresses') : null;
}

/**
 * An IPv6 address or network. An IPv4-mapped one (RFC 4291 section 2.5.5.2) becomes the IPv4 address, which is what packets and
 * logs show. Zones (`%eth0`) mean nothing on another machine and are refused.
 */
export function parseIpv6(text: string): Parsed {
  // Brackets around the whole belong to an IPv6 literal; only bracketed separators are refanged.
  const plain = text.replace(/\[:\]/g, ':').replace(/\[\.\]/g, '.');
  const match = IPV6_WITH.exec(plain);
  const address = match?.[1] ?? match?.[2] ?? '';
  // A port behind a colon needs the brackets: without them it reads as one more group.
  if (match === null || (match[4] !== undefined && match[1] === undefined && !plain.includes('|'))) {
    return badValue('not an IPv6 address or network');
  }
  const dotted = address.slice(address.lastIndexOf(':') + 1);
  if (!address.includes(':') || (dotted.includes('.') && !IPV4.test(dotted)) || !ipaddr.IPv6.isValid(address)) {
    return badValue('not an IPv6 address or network');
  }
  const parsed = ipaddr.IPv6.parse(address);
  const bits = match[3] === undefined ? 128 : Number(match[3]);
  const fault = faultOfPrefix(bits, 128);
  if (fault !== null) return fault;
  if (parsed.isIPv4MappedAddress() && bits >= 96) {
    const mapped = parsed.toIPv4Address().toString();
    return match[4] === undefined ? networkOf4(mapped, bits - 96) : withPort({ type: 'ipv4', value: mapped }, match[4]);
  }
  const value = bits === 128 ? rfc5952(parsed.parts) : `${rfc5952(firstOf(parsed.parts, bits))}/${bits}`;
  return match[4] === undefined ? { observable: { type: 'ipv6', value } } : withPort({ type: 'ipv6', value }, match[4]);
}

/** The first address of the network: the bits behind the prefix become zero. */
function firstOf(parts: readonly number[], bits: number): number[] {
  return parts.map((part, index) => {
    const kept = Math.min(16, Math.max(0, bits - index * 16));
    return part & ((0xffff << (16 - kept)) & 0xffff);
  });
}

function rfc5952(parts: number[]): string {
  return new ipaddr.IPv6(parts).toRFC5952String();
}
