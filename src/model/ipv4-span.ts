const SLASH = '/'.charCodeAt(0);
const DOT = '.'.charCodeAt(0);

/**
 * The first and last address of a canonical IPv4 address or network, as numbers. Written by hand: it runs for each row, and for each
 * address that is published.
 */
export function spanOf4(value: string): { first: number; last: number } {
  let [first, octet, at] = [0, 0, 0];
  for (; at < value.length; at += 1) {
    const code = value.charCodeAt(at);
    if (code === SLASH) break;
    if (code === DOT) {
      first = first * 256 + octet;
      octet = 0;
    } else octet = octet * 10 + code - 0x30;
  }
  first = first * 256 + octet;
  const bits = at === value.length ? 32 : Number(value.slice(at + 1));
  return { first, last: first + 2 ** (32 - bits) - 1 };
}
