import pino, { type Logger } from 'pino';
import type { PollReport } from './model/control.ts';
import { errorText } from './model/error.ts';

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

/** How a poll ended. What goes on as it should is said quietly: an unchanged feed is asked all day. */
export function logPoll(log: Logger, { feed, outcome, error, ...counts }: PollReport): void {
  if (error !== null) log.warn({ feed, outcome, code: error.code, ...counts }, `feed ${feed}: ${errorText(error)}`);
  else if (counts.entries === 0) log.debug({ feed, outcome, ...counts }, `feed ${feed} has nothing new`);
  else log.info({ feed, outcome, ...counts }, `feed ${feed} was polled`);
}
