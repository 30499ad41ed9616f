import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Secret } from './secret.ts';

/** PEM texts of a TLS connection: a certificate with its private key, and the authorities that are trusted. */
export interface PemTexts {
  cert?: Secret | undefined;
  key?: Secret | undefined;
  ca?: Secret | undefined;
}

export interface PemProblem {
  /** `pair`: cert and key, each of which is sound. */
  part: keyof PemTexts | 'pair';
  /** To be read after the name of the part. */
  message: string;
}

/** Returns what is wrong with the texts that are given. */
export function pemProblems({ cert, key, ca }: PemTexts): PemProblem[] {
  const problems: PemProblem[] = [];
  const check = (part: PemProblem['part'], message: string, parse: () => unknown): void => {
    try {
      parse();
    } catch {
      problems.push({ part, message });
    }
  };
  if (cert !== undefined) check('cert', 'holds no PEM certificate', () => new X509Certificate(cert.reveal()));
  if (key !== undefined) {
    check('key', 'holds no PEM private key, or one that needs a passphrase', () => createPrivateKey(key.reveal()));
  }
  if (cert !== undefined && key !== undefined && problems.length === 0) {
    check('pair', 'do not belong together', () => {
      createSecureContext({ cert: cert.reveal(), key: key.reveal() });
    });
  }
  if (ca !== undefined) check('ca', 'holds no PEM certificate', () => new X509Certificate(ca.reveal()));
  return problems;
}
