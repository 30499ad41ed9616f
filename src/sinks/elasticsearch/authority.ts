import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { GatewayError } from '../../model/error.ts';

/**
 * The certificate with this SHA-256 among those that a node shows, as PEM: what its connections then have to be signed by. It is
 * fetched on a connection of its own that nothing is sent on. Comparing fingerprints on the connections themselves, as clients
 * do, would leave their signatures unverified, and a certificate is no secret.
 * Throws `sink-unavailable`, and `sink-refused` when it shows no such certificate.
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
    const shown = shownBy(socket);
    const found = shown.find((each) => each.fingerprint256.replaceAll(':', '') === wanted);
    if (found !== undefined) return found.toString();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new GatewayError('sink-unavailable', `${host} could not be reached (${code ?? message}).`);
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
  throw new GatewayError('sink-refused', `${host} shows no certificate with the fingerprint that is configured.`);
}

/** From its own to the last above it that it sent. */
function shownBy(socket: TLSSocket): X509Certificate[] {
  const shown: X509Certificate[] = [];
  let { raw, issuerCertificate: above } = socket.getPeerCertificate(true);
  while (raw !== undefined) {
    shown.push(new X509Certificate(raw));
    if (above === undefined || above.raw.equals(raw)) break;
    ({ raw, issuerCertificate: above } = above);
  }
  return shown;
}
