import pino, { type Logger } from 'pino';

/** JSON lines on standard error, so that standard output stays what a person or a script asked for. */
export function createLog(level: string): Logger {
  return pino(
    {
      level,
      base: null,
      redact: ['req.headers.authorization', 'req.headers["x-api-key"]', 'headers.authorization'],
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
