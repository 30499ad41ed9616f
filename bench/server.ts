import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A gateway that serves, seen from outside. */
export interface Server {
  base: string;
  pid: number;
  child: ChildProcess;
}

/** Starts `serve`, by the launcher or by what was built, and waits until it listens. */
export async function startGateway(program: string, config: string): Promise<Server> {
  const child = spawn(process.execPath, [program, 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  const base = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (part) => {
      said += part;
      const found = /listening on (http:\S+)/.exec(said)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`the gateway did not start: ${said}`)));
  });
  return { base, pid: child.pid as number, child };
}

/** Processor time of a process with all its threads, in hundredths of a second (proc(5)); NaN where there is no /proc. */
export function ticksOf(pid: number): number {
  const fields = fileOf(pid, 'stat').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** Resident memory of a process with all its threads in MB: now, and at its peak since it began. */
export function memoryOf(pid: number): { now: number; peak: number } {
  const status = fileOf(pid, 'status');
  const megabytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1024;
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}

function fileOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}
