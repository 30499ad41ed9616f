import type { DeliveryReport } from '../model/control.ts';
import { createSemaphore } from '../model/semaphore.ts';
import type { DeliveryContext } from './context.ts';
import type { JournalPage } from './pages.ts';
import { type PushOptions, pushEntries } from './push.ts';

/** Pages read ahead of the first that is not done, as a multiple of the sink's concurrency. */
const AHEAD = 2;

/** Pushes pages, as many at a time as the sink takes. Calls `onDone` for each page in order, when all before it are done. */
export async function pushPages(
  context: DeliveryContext,
  pages: AsyncIterable<JournalPage>,
  report: DeliveryReport,
  options: PushOptions,
  onDone: (page: JournalPage) => Promise<void>,
): Promise<void> {
  const { concurrency } = context.sink;
  const semaphore = createSemaphore(concurrency);
  const pending: { page: JournalPage; pushed: Promise<unknown>; isRunning: boolean }[] = [];
  const finishFirst = async (): Promise<void> => {
    await pending[0]?.pushed;
    const first = pending.shift();
    if (first !== undefined) await onDone(first.page);
  };
  try {
    for await (const page of pages) {
      await semaphore.acquire();
      while (pending[0]?.isRunning === false || pending.length >= AHEAD * concurrency) await finishFirst();
      const push = { page, pushed: pushEntries(context, page.entries, report, options), isRunning: true };
      pending.push(push);
      // A failure is thrown by finishFirst, in the order of the pages.
      const onEnd = (): void => {
        push.isRunning = false;
        semaphore.release();
      };
      push.pushed.then(onEnd, onEnd);
    }
    while (pending.length > 0) await finishFirst();
  } finally {
    // A push that still runs must not overlap with the next attempt.
    await Promise.allSettled(pending.map(({ pushed }) => pushed));
  }
}
