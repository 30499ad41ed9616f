import { getHeapStatistics } from 'node:v8';

/** Files and sockets besides readers' connections: the store, polls, pushes, the log. */
const RESERVED = 256;

/**
 * How many of `wanted` connections this process can hold under its limit of open files (`ulimit -n`): a part of the limit stays for
 * everything else. Node itself has raised the limit as far as it may. `limit` is null where all are fine.
 */
export function connectionsWithin(
  wanted: number,
  limit: number | null = openFilesLimit(),
): { most: number; limit: number | null } {
  if (limit === null) return { most: wanted, limit };
  const most = Math.min(wanted, Math.max(Math.floor(limit / 2), limit - RESERVED));
  return { most, limit: most < wanted ? limit : null };
}

/** The soft limit on open files; null where there is none, or it can't be known. */
function openFilesLimit(): number | null {
  // Without it, the report looks up the names of all peers (https://nodejs.org/api/report.html); the types don't know it yet.
  const report = Object.assign(process.report, { excludeNetwork: true });
  const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft: number | string } } };
  const soft = userLimits?.open_files?.soft;
  return typeof soft === 'number' ? soft : null;
}

/** Of the heap, what answers under way may hold: in a small container it ends before the configured bytes do. */
const ANSWER_SHARE = 0.25;

/** How many of `wanted` bytes answers may hold in a heap of `heap` bytes, this process's own unless told otherwise. */
export function answerBytesWithin(wanted: number, heap: number = oldHeapLimit()): number {
  return Math.min(wanted, ANSWER_SHARE * heap);
}

/** V8's default size of a semi-space. */
const SEMI_SPACE_MIB = 64;

/**
 * Bytes that values may take which live longer than a moment. V8's limit counts three semi-spaces besides: of a heap of 96 MiB it says
 * 288. Their size is told by no interface but the option that sets it.
 */
export function oldHeapLimit(
  limit: number = getHeapStatistics().heap_size_limit,
  options: string = [...process.execArgv, process.env['NODE_OPTIONS']].join(' '),
): number {
  const semiSpace = Number(/--max[-_]semi[-_]space[-_]size[= ](\d+)/.exec(options)?.[1] ?? SEMI_SPACE_MIB);
  return Math.max(limit - 3 * semiSpace * 2 ** 20, limit / 8);
}
