import { runProcess } from './commands/process.ts';

// Whatever is written (store, keys, socket) is for the owner alone.
process.umask(0o077);
process.exitCode = await runProcess();
