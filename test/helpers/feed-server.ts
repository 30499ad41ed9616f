import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';
import type { Clock, Micros } from '../../src/model/clock.ts';
import { formatMillis, parseTimestamp } from '../../src/model/timestamp.ts';

export interface UpstreamRow {
  /** When it was added or last updated: what since and until look at. */
  updated: Micros;
  row: Record<string, unknown>;
}

type Fault = (request: IncomingMessage, response: ServerResponse) => void;

export interface ScriptedUpstream {
  url: string;
  rows: UpstreamRow[];
  /** Every request so far. */
  requests: { url: URL; authorization: string | undefined }[];
  /** Answers the next requests, one each, in place of the feed. */
  faults: Fault[];
}

/** A server that answers `GET /api/v1/iocs` in the shapes of SOC Defenders' documentation: newest first, by offset. */
export async function startUpstream(t: Test, { key, clock }: { key: string; clock: Clock }): Promise<ScriptedUpstream> {
  const upstream: ScriptedUpstream = { url: '', rows: [], requests: [], faults: [] };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', upstream.url);
    upstream.requests.push({ url, authorization: request.headers.authorization });
    const fault = upstream.faults.shift();
    if (fault !== undefined) return fault(request, response);
    if (request.headers.authorization !== `Bearer ${key}`) {
      return answer(response, 401, { error: { code: 'invalid_api_key', message: 'no', request_id: 'r1' } });
    }
    const given = (name: string, otherwise: Micros): Micros =>
      parseTimestamp(url.searchParams.get(name) ?? '') ?? otherwise;
    const [since, until] = [given('since', 0), given('until', Number.MAX_SAFE_INTEGER)];
    const limit = Number(url.searchParams.get('limit') ?? 100);
    const offset = Number(url.searchParams.get('offset') ?? 0);
    const found = upstream.rows
      .filter(({ updated }) => updated >= since && updated <= until)
      .sort((a, b) => b.updated - a.updated);
    const data = found.slice(offset, offset + limit).map(({ row }) => row);
    const meta = { total: found.length, limit, offset, generated_at: formatMillis(clock.now()), feed_version: '1' };
    answer(response, 200, { meta, data, links: { self: request.url } });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  upstream.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return upstream;
}

export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
