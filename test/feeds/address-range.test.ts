import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import t from 'tap';
import { networksOfRange } from '../../src/feeds/reading/address-range.ts';

const numberOf = (address: string): bigint =>
  ipaddr
    .parse(address)
    .toByteArray()
    .reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

function spanOf(network: string): [first: bigint, last: bigint] {
  const [address = '', prefix] = network.split('/');
  const bits = address.includes(':') ? 128n : 32n;
  const size = 1n << (bits - (prefix === undefined ? bits : BigInt(prefix)));
  const first = numberOf(address);
  if (first % size !== 0n) throw new Error(`${network} does not begin at its own first address`);
  return [first, first + size - 1n];
}

t.test('a range becomes networks that hold its addresses, each once, and no two of them are one', (t) => {
  const four = fc.tuple(fc.ipV4(), fc.ipV4()).filter(([a, b]) => Math.abs(Number(numberOf(a) - numberOf(b))) < 2 ** 24);
  const six = fc
    .tuple(fc.ipV6(), fc.bigInt({ min: 0n, max: 2n ** 100n }))
    .map(([address, more]) => {
      const last = (numberOf(address) + more) % 2n ** 128n;
      const hex = last.toString(16).padStart(32, '0');
      return [address, hex.match(/.{4}/g)?.join(':') ?? ''] as const;
    })
    .filter(([a, b]) => !a.includes('.') && numberOf(a) <= numberOf(b));
  fc.assert(
    fc.property(fc.oneof(four, six), ([one, other]) => {
      const [first, last] = numberOf(one) <= numberOf(other) ? [one, other] : [other, one];
      const networks = networksOfRange(`${first}-${last}`);
      if (!Array.isArray(networks)) throw new Error(JSON.stringify(networks));
      const spans = networks.map(spanOf);
      if (spans[0]?.[0] !== numberOf(first) || spans.at(-1)?.[1] !== numberOf(last)) throw new Error('its ends');
      spans.forEach(([from, to], i) => {
        const next = spans[i + 1];
        if (next === undefined) return;
        if (next[0] !== to + 1n) throw new Error('a hole');
        const size = to - from;
        if (next[1] - next[0] === size && from % (2n * (size + 1n)) === 0n) throw new Error('two that could be one');
      });
    }),
  );
  t.end();
});

t.test('a range that is turned, mixed or wider than a network may be is refused; other texts are no range', (t) => {
  const cases: [string, unknown][] = [
    ['192.0.2.1-192.0.2.1', ['192.0.2.1']],
    ['192.0.2.0 - 192.0.2.255', ['192.0.2.0/24']],
    ['2001:DB8:: - 2001:db8::ffff', ['2001:db8::/112']],
    ['10.0.0.0-10.255.255.255', ['10.0.0.0/8']],
    ['10.0.0.0-11.0.0.0', { reason: 'too-wide' }],
    ['0.0.0.0-255.255.255.255', { reason: 'too-wide' }],
    ['2001::-2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff', ['2001::/16']],
    ['::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', { reason: 'too-wide' }],
    ['192.0.2.2-192.0.2.1', { reason: 'bad-value' }],
    ['192.0.2.2-2001:db8::1', { reason: 'bad-value' }],
    ['192.0.2.1', null],
    ['dead-beef', null],
    ['192.0.2.1-', null],
    ['192.0.2.01-192.0.2.3', null],
    ['192.0.2-192.0.3', null],
    ['1.2.3.4-5.6.7.8.example.com', null],
    ['1.1.1.1-2.2.2.2-3.3.3.3', null],
  ];
  for (const [text, expected] of cases) t.match(networksOfRange(text), expected, text);
  t.end();
});
