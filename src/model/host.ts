import { isIPv4, isIPv6 } from 'node:net';
import type { Observable } from './observable.ts';

/** An address or a network (`198.51.100.0/24`), or a name. */
export type Host = { kind: 'network'; network: string } | { kind: 'name'; name: string };

/** RFC 3986 section 3.2: the host of an address with a scheme, in brackets where it is an IPv6 address. */
const URL_HOST = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/?#@]*@)?(?:\[([^\]]+)\]|([^/:?#]+))/;

/** The host that an observable names: itself, that of a URL, or the domain of an e-mail address. Null where it names none. */
export function hostOf({ type, value }: Observable): Host | null {
  switch (type) {
    case 'ipv4':
    case 'ipv6':
      return asNetwork(value);
    case 'domain':
      return { kind: 'name', name: value };
    case 'email':
      return { kind: 'name', name: value.slice(value.lastIndexOf('@') + 1) };
    case 'url': {
      const [, bracketed, plain] = URL_HOST.exec(value) ?? [];
      const host = bracketed ?? plain;
      return host === undefined ? null : (asNetwork(host) ?? { kind: 'name', name: host });
    }
    default:
      return null;
  }
}

/** Null for what is neither an address nor a network. */
function asNetwork(text: string): Host | null {
  const [address = '', bits = '0'] = text.split('/');
  const isAddress = isIPv4(address) ? Number(bits) <= 32 : isIPv6(address) && Number(bits) <= 128;
  return isAddress ? { kind: 'network', network: text } : null;
}
