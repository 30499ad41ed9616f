/**
 * What several feeds say of values of which they share a part: the same in every run. Of 10 values of a feed 7 are its own; the others
 * are of a stock that all feeds draw on, so that each of them is said by some.
 */

const SHARED = 0.3;

/** Addresses and domains in turn. */
function textOf(n: number): string {
  return n % 2 === 0
    ? `${11 + ((n >> 24) & 63)}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
    : `host-${n}.example.com`;
}

/**
 * The values of feed `feed` of `feeds`, which say `rows` in all. `changed`: the share (0 to 1) of its values in place of which it says
 * others now, spread evenly.
 */
export function* overlappingValues(rows: number, feeds: number, feed: number, changed = 0): Generator<string> {
  const own = Math.floor(rows / feeds);
  const shared = Math.floor(own * SHARED);
  // A third of what the feeds share is different, so that each is said by three of them.
  const stock = Math.max(1, Math.floor((shared * feeds) / 3));
  const every = changed === 0 ? Number.POSITIVE_INFINITY : Math.round(1 / changed);
  for (let i = 0; i < own; i += 1) {
    const n = i < shared ? (i + feed * Math.floor(shared / 2)) % stock : stock + feed * own + i;
    yield textOf(i % every === every - 1 ? n + 2 * rows : n);
  }
}
