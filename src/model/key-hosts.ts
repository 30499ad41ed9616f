/**
 * May what holds a secret of a request to `requested` be sent to `url`? Only to the same host or one of `hosts`, at the same port,
 * and not without TLS when the request had it.
 */
export function mayCarryKey(requested: URL, url: URL, hosts: readonly string[] = []): boolean {
  const isHost = requested.hostname === url.hostname || hosts.includes(url.hostname);
  return isHost && requested.port === url.port && (url.protocol === 'https:' || requested.protocol === 'http:');
}
