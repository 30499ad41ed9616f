import fc from 'fast-check';
import t from 'tap';
import { mergeNetworks } from '../../src/lists/merge-networks.ts';
import type { IndicatorEntry } from '../../src/model/entry.ts';
import { networkOf, networkText } from '../../src/outputs/addresses.ts';
import { indicatorEntry } from '../helpers/store.ts';

const entry = (value: string, confidence: number | null = 50) =>
  indicatorEntry({ type: value.includes(':') ? 'ipv6' : 'ipv4', value, confidence });

async function merged(...slices: IndicatorEntry[][]): Promise<IndicatorEntry[]> {
  const all: IndicatorEntry[] = [];
  const given = (async function* () {
    yield* slices;
  })();
  for await (const slice of mergeNetworks(given)) all.push(...slice);
  return all;
}

/** Networks in a block of 64 addresses: by first address and prefix length. */
const small = (bits: 32 | 128, base: bigint) =>
  fc
    .record({ offset: fc.nat(63), free: fc.nat(5) })
    .map(({ offset, free }) =>
      networkText({ first: base + ((BigInt(offset) >> BigInt(free)) << BigInt(free)), bits, prefix: bits - free }),
    );

const addressesOf = (values: readonly string[]): Set<string> =>
  new Set(
    values.flatMap((value) => {
      const { first, bits, prefix } = networkOf(value);
      return Array.from({ length: 2 ** (bits - prefix) }, (_, i) => `${bits} ${first + BigInt(i)}`);
    }),
  );

/** The fewest networks that hold exactly these addresses of a block: a block that is whole is one, else what its halves need. */
function fewest(held: ReadonlySet<string>, bits: number, first: bigint, free: number): number {
  const size = 2 ** free;
  const count = Array.from({ length: size }, (_, i) => held.has(`${bits} ${first + BigInt(i)}`)).filter(Boolean).length;
  if (count === 0) return 0;
  if (count === size) return 1;
  return fewest(held, bits, first, free - 1) + fewest(held, bits, first + BigInt(size / 2), free - 1);
}

for (const [bits, base] of [
  [32, networkOf('192.0.2.0').first],
  [128, networkOf('2001:db8::').first],
] as const) {
  t.test(`the same addresses, in the fewest networks: ${bits} bits`, async (t) => {
    const property = fc.asyncProperty(fc.array(small(bits, base), { minLength: 1, maxLength: 40 }), async (values) => {
      const networks = (await merged(values.map((value) => entry(value)))).map(({ value }) => value);
      const held = addressesOf(values);
      const kept = addressesOf(networks);
      if (held.size !== kept.size || ![...held].every((address) => kept.has(address)))
        throw new Error(`${networks} hold other addresses than ${values}`);
      if (networks.length !== fewest(held, bits, base, 6)) throw new Error(`${networks} are too many for ${values}`);
    });
    await fc.assert(property, { numRuns: 300 });
    t.pass();
  });
}

t.test(
  'a merged network has the least confidence of its parts, the strongest stand first, other types pass',
  async (t) => {
    const found = await merged(
      [entry('192.0.2.0/25', 90), indicatorEntry({ value: 'a.example' })],
      [entry('192.0.2.128/25', 40), entry('198.51.100.7', 80), entry('203.0.113.0', 70), entry('203.0.113.1', null)],
    );
    t.strictSame(
      found.map(({ value, confidence }) => [value, confidence]),
      [
        ['a.example', 80],
        ['198.51.100.7', 80],
        ['192.0.2.0/24', 40],
        ['203.0.113.0/31', null],
      ],
    );
    t.match(
      found[2],
      { type: 'ipv4', sources: '[]', labels: null, description: null },
      'and says nothing of one of them',
    );
  },
);

t.test('the ends of the address space', async (t) => {
  const values = async (...given: string[]) =>
    (await merged(given.map((each) => entry(each)))).map(({ value }) => value);
  t.strictSame(await values('0.0.0.0/1', '128.0.0.0/1'), ['0.0.0.0/0']);
  t.strictSame(await values('255.255.255.254', '255.255.255.255'), ['255.255.255.254/31']);
  t.strictSame(await values('::/1', '8000::/1', '::1'), ['::/0']);
});
