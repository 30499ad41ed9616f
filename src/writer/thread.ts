import { parentPort, workerData } from 'node:worker_threads';
import { loadConfigText } from '../load.ts';
import { createLog, logPoll } from '../log.ts';
import { systemClock } from '../model/clock.ts';
import type { StoreFault } from '../model/error.ts';
import { Commits } from '../store/commits.ts';
import type { FromWriter, ToWriter, WriterData } from './link.ts';
import { packError } from './link.ts';
import { openWriterSide } from './writer.ts';

/** The thread that writes. It resolves the configuration itself, from the text that serve read: secrets never cross between threads. */
const port = parentPort;
if (port === null) throw new Error('writer-thread.ts runs as a worker thread only');
const say = (message: FromWriter): void => port.postMessage(message);

const faultWords: Record<StoreFault, string> = {
  'store-full': 'the disk of the store is full (SQLITE_FULL): nothing new is kept, and what was kept is served',
  'store-damaged': 'the file of the store is damaged: restore it from a backup',
};

const { path, text, overrides, commits } = workerData as WriterData;
const { config } = loadConfigText(text, path, overrides);
const log = createLog(config.log.level);
const side = await openWriterSide(config, {
  clock: systemClock,
  commits: new Commits(commits),
  onClients: (clients) => say({ event: 'clients', clients }),
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
  if ('touch' in message) return side.touch(message.touch);
  try {
    const method = side[message.method] as (...args: unknown[]) => Promise<unknown>;
    say({ event: 'answer', id: message.id, value: await method(...message.args) });
  } catch (error) {
    say({ event: 'answer', id: message.id, error: packError(error) });
  }
  if (message.method === 'close') port.close();
});

say({ event: 'clients', clients: await side.listClients() });
say({ event: 'ready' });
