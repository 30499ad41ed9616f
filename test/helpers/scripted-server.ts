import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export interface Request {
  message: IncomingMessage;
  body: string;
}

export type Answer = (request: Request, response: ServerResponse) => void;

/** A server on this machine that answers as a test says. */
export async function serve(
  t: Test,
  answer: Answer,
  host = '127.0.0.1',
): Promise<{ url: string; requests: Request[] }> {
  const requests: Request[] = [];
  const server = createServer((message, response) => {
    let body = '';
    // A character may lie in two chunks.
    message.setEncoding('utf8');
    message.on('data', (chunk: string) => {
      body += chunk;
    });
    message.on('end', () => {
      requests.push({ message, body });
      answer({ message, body }, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  t.teardown(() => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}
