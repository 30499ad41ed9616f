import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';

export interface Certificates {
  dir: string;
  /** Returns the PEM text of ca.crt, server.crt, server.key, NAME.crt or NAME.key of a client. */
  read(name: string): string;
}

/** Makes an authority, and certificates of it for localhost and for clients. Null, with a printed skip, without openssl. */
export function makeCertificates(t: Test, dir: string, clients: readonly string[] = ['client']): Certificates | null {
  mkdirSync(dir, { recursive: true });
  const openssl = (line: string): void => void execFileSync('openssl', line.split(' '), { cwd: dir, stdio: 'pipe' });
  try {
    openssl('version');
  } catch {
    if (process.env['CI']) throw new Error('CI must have openssl');
    t.pass('skipped: no openssl', { skip: 'no openssl' });
    return null;
  }
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  const sign = '-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san.cnf';
  writeFileSync(join(dir, 'san.cnf'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n');
  openssl(`req -x509 ${key} -keyout ca.key -out ca.crt -subj /CN=authority -days 2`);
  for (const name of ['server', ...clients]) {
    openssl(`req ${key} -keyout ${name}.key -out ${name}.csr -subj /CN=${name === 'server' ? 'localhost' : name}`);
    openssl(`x509 -req -in ${name}.csr -out ${name}.crt ${sign}`);
  }
  return { dir, read: (name) => readFileSync(join(dir, name), 'utf8') };
}
