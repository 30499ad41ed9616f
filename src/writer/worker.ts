import { parentPort, workerData } from 'node:worker_threads';
import { type ErrorJson, errorToJson } from '../control/error-json.ts';
import { loadConfigText } from '../load.ts';
import { createLog, logPoll } from '../log.ts';
import { systemClock } from '../model/clock.ts';
import { GatewayError, type StoreFault } from '../model/error.ts';
import { Commits } from '../store/commits.ts';
import { openBackend } from './backend.ts';
import type { FromWriter, ToWriter, WriterData } from './messages.ts';

/** The writing thread: the backend, driven by messages. It resolves the configuration itself, from the text that serve read: secrets never cross between threads. */
const port = parentPort;
if (port === null) throw new Error('src/writer/worker.ts runs as a worker thread only');
const send = (message: FromWriter): void => port.postMessage(message);

const faultWords: Record<StoreFault, string> = {
  'store-full': 'the disk of the store is full (SQLITE_FULL): nothing new is kept, and what was kept is served',
  'store-damaged': 'the file of the store is damaged: restore it from a backup',
};

const { path, text, overrides, commits } = workerData as WriterData;
const { config } = loadConfigText(text, path, overrides);
const log = createLog(config.log.level);
const backend = await openBackend(config, {
  clock: systemClock,
  commits: new Commits(commits),
  onClients: (clients) => send({ event: 'clients', clients }),
  onError: (error) => log.error({ err: error }, 'the writer met an unforeseen error'),
  onPoll: (report) => logPoll(log, report),
  onStoreFault: (fault) => {
    if (fault === null) log.info('the store keeps what is new again');
    else log.error({ fault }, faultWords[fault]);
  },
  onDatesAhead: (ahead) =>
    log.warn(
      { seconds: Math.round(ahead / 1000) },
      'the clock was set back: dates rise by as little as can be until it is right',
    ),
});

port.on('message', async (message: ToWriter) => {
  if ('wasRead' in message) return backend.refreshOnRead(message.wasRead);
  const { id, method, args } = message;
  try {
    const run = backend[method] as (...args: unknown[]) => unknown;
    send({ event: 'result', id, value: await run(...args) });
  } catch (error) {
    send({ event: 'failure', id, error: describeError(error) });
  }
  if (method === 'close') port.close();
});

send({ event: 'clients', clients: await backend.listClients() });
send({ event: 'ready' });

function describeError(error: unknown): ErrorJson {
  if (error instanceof GatewayError) return errorToJson(error);
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}
