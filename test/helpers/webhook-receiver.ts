import { createHmac } from 'node:crypto';
import type { Test } from 'tap';
import { serve } from './scripted-server.ts';

export interface ReceiverFaults {
  /** Every connection ends without an answer. */
  isAway?: boolean;
  /** Answers this instead of taking a request. */
  status?: number;
  /** Answers 422 to a request with this value. */
  refuses?: string;
}

/** A receiver as docs/push.md describes it: it takes what is signed with its secret, and keeps each version of an entry once. */
export async function startReceiver(t: Test, secret: string, faults: ReceiverFaults = {}) {
  const held = new Map<string, any>();
  const { url, requests } = await serve(t, ({ message, body }, response) => {
    if (faults.isAway) return void message.socket.destroy();
    const answer = (status: number, text = ''): void => {
      response.writeHead(status, status === 429 ? { 'retry-after': '7' } : {});
      response.end(text);
    };
    const expected = createHmac('sha256', secret)
      .update(`${message.headers['x-sluice-timestamp']}.${body}`)
      .digest('hex');
    if (message.headers['x-sluice-signature'] !== `sha256=${expected}`) return answer(401);
    if (faults.status !== undefined) return answer(faults.status, 'not\nnow');
    if (faults.refuses !== undefined && body.includes(faults.refuses)) return answer(422, `no ${faults.refuses}`);
    for (const entry of JSON.parse(body).entries) held.set(`${entry.id} ${entry.updated_at ?? entry.modified}`, entry);
    return answer(204);
  });
  return { url: `${url}/in?from=sluice`, requests, faults, held };
}
