import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { GatewayError, systemErrorCode } from '../../model/error.ts';

/**
 * Returns, as PEM, the certificate with this SHA-256 in the chain that a node presents. Connections then have to be signed by it. It
 * is fetched on a connection that sends nothing. Comparing fingerprints on the real connections, as clients do, would leave their
 * signatures unverified, and anybody can present a certificate.
 * Throws `sink-unavailable`, and `sink-refused` when the chain has no such certificate.
 */
export async function fetchAuthority(
  node: string,
  fingerprint: string,
  { timeout, signal }: { timeout: number; signal: AbortSignal },
): Promise<string> {
  const wanted = fingerprint.replaceAll(':', '').toUpperCase();
  const { hostname, port, host } = new URL(node);
  const name = hostname.replace(/^\[|\]$/g, '');
  const servername = isIP(name) === 0 ? name : '';
  const socket = connect({ host: name, port: Number(port || 443), servername, rejectUnauthorized: false, timeout });
  const abort = (): void => void socket.destroy(new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    await new Promise<void>((done, fail) => {
      socket.once('secureConnect', done);
      socket.once('error', fail);
      socket.once('timeout', () => fail(new Error('timeout')));
    });
    const found = certificateChain(socket).find((each) => each.fingerprint256.replaceAll(':', '') === wanted);
    if (found !== undefined) return found.toString();
  } catch (error) {
    throw new GatewayError(
      'sink-unavailable',
      `${host} could not be reached (${systemErrorCode(error) ?? (error instanceof Error ? error.message : error)}).`,
    );
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
  throw new GatewayError('sink-refused', `${host} shows no certificate with the fingerprint that is configured.`);
}

/** The certificates that the node sent, its own first. */
function certificateChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let { raw, issuerCertificate: above } = socket.getPeerCertificate(true);
  while (raw !== undefined) {
    chain.push(new X509Certificate(raw));
    if (above === undefined || above.raw.equals(raw)) break;
    ({ raw, issuerCertificate: above } = above);
  }
  return chain;
}
