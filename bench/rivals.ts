import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';

/** Others that answer with the same page, each as a process of its own. */
export interface Rival {
  base: string;
  child: ChildProcess;
}

export interface ServedPage {
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Lays the page down where the rivals find it. */
export function keepPage(directory: string, plain: ServedPage, packed: ServedPage): void {
  writeFileSync(join(directory, 'page.json'), plain.body);
  writeFileSync(join(directory, 'page.json.gz'), packed.body);
  // The connection's own are each server's business.
  const own = ({ date, connection, 'keep-alive': _, ...rest }: IncomingHttpHeaders) => rest;
  const headers = { plain: own(plain.headers), packed: own(packed.headers) };
  writeFileSync(join(directory, 'headers.json'), JSON.stringify(headers));
}

/** One process without logs; sendfile off and large buffers, which is its fastest for files from memory over loopback. */
export async function startNginx(directory: string): Promise<Rival> {
  const port = 20_000 + (process.pid % 20_000);
  writeFileSync(
    join(directory, 'nginx.conf'),
    `daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; sendfile off; output_buffers 2 1m; gzip_static on; keepalive_requests 100000000;
  default_type application/taxii+json;
  client_body_temp_path ${directory}/t1; proxy_temp_path ${directory}/t2; fastcgi_temp_path ${directory}/t3;
  uwsgi_temp_path ${directory}/t4; scgi_temp_path ${directory}/t5;
  server { listen 127.0.0.1:${port}; root ${directory}; }
}
`,
  );
  const child = spawn('nginx', ['-c', join(directory, 'nginx.conf'), '-p', directory], { stdio: 'inherit' });
  const base = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 100; tries += 1) {
    if ((await fetch(`${base}/page.json`).catch(() => null))?.ok) return { base, child };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('nginx did not answer with the page');
}

/** ceiling.ts. */
export async function startFastify(directory: string): Promise<Rival> {
  const script = new URL('./ceiling.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = await once(child.stdout, 'data');
  return { base: `http://127.0.0.1:${String(port).trim()}`, child };
}
