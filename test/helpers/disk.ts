import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A disk of `size` of its own, away when the test ends; null where nobody may mount one. */
export function mountDisk(t: Test, size: string): { path: string; resize(size: string): void } | null {
  const path = mkdtempSync(join(tmpdir(), 'sluice-disk-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  const mount = (options: string): boolean =>
    spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]).status === 0;
  if (process.platform !== 'linux' || !mount(`size=${size}`)) return null;
  t.teardown(() => spawnSync('umount', ['-l', path]));
  return { path, resize: (size) => void mount(`remount,size=${size}`) };
}
