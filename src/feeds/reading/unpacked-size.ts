import { GatewayError } from '../../model/error.ts';

const MB = 1024 * 1024;
/** Most bytes that one file or archive may unpack to. */
const MAX_UNPACKED = 8192 * MB;
/** Beyond the first so many bytes, a file may unpack to at most RATIO times its own size. */
const RATIO_FROM = 64 * MB;
const RATIO = 200;

/** Throws `upstream-too-large` for a decompression bomb. Both sizes are in bytes, up to now. */
export function checkUnpackedSize(name: string, packed: number, unpacked: number): void {
  if (unpacked <= MAX_UNPACKED && (unpacked <= RATIO_FROM || unpacked <= packed * RATIO)) return;
  throw new GatewayError('upstream-too-large', `${name} unpacks to far more than a feed holds.`);
}
