import { type Cookie, parseCookie } from 'undici';
import { type Clock, MICROS_PER_MS } from '../model/clock.ts';

/**
 * What a host asks to be sent back to it (RFC 6265), for the requests of one pull: load balancers and sign-on gates set a
 * cookie with a redirect and answer nothing before they see it. Each cookie goes to the host that set it and to no other, in
 * the clear only when it came so, and is forgotten with the pull.
 */
export interface Cookies {
  /** The Cookie header for an address; null for none. */
  headerFor(url: URL): string | null;
  /** Takes in the Set-Cookie headers of an answer of this address. */
  keep(url: URL, fields: string | string[] | undefined): void;
}

/** RFC 6265 section 6.1 asks for 50 a host; sent headers stay far below what servers take. */
const MOST = 50;
const MOST_BYTES = 8192;

interface Kept {
  host: string;
  path: string;
  name: string;
  value: string;
  isSecure: boolean;
}

export function openCookies(clock: Clock): Cookies {
  const kept = new Map<string, Kept>();
  return {
    headerFor(url) {
      const pairs = [...kept.values()]
        .filter(
          ({ host, path, isSecure }) =>
            host === url.host && isUnder(path, url.pathname) && !(isSecure && url.protocol !== 'https:'),
        )
        .map(({ name, value }) => `${name}=${value}`);
      let room = MOST_BYTES;
      const sent = pairs.filter((pair) => {
        room -= pair.length + 2;
        return room >= 0;
      });
      return sent.length === 0 ? null : sent.join('; ');
    },
    keep(url, fields = []) {
      for (const field of [fields].flat().slice(0, MOST)) {
        const cookie = read(field);
        if (cookie === null) continue;
        const path = cookie.path?.startsWith('/') ? cookie.path : defaultPath(url);
        const { host } = url;
        const { name, value } = cookie;
        const place = JSON.stringify([host, path, name]);
        kept.delete(place);
        // RFC 6265 section 5.2: an end that has come takes a cookie away. No other end matters within a pull.
        const isOver = (cookie.maxAge ?? 1) <= 0 || Number(cookie.expires ?? Infinity) * MICROS_PER_MS <= clock.now();
        if (isOver || kept.size >= MOST) continue;
        kept.set(place, { host, path, name, value, isSecure: url.protocol === 'https:' || cookie.secure === true });
      }
    },
  };
}

/** Null for what is no cookie, or could not stand in a header. */
function read(field: string): Cookie | null {
  const cookie = parseCookie(field);
  return cookie !== null && cookie.name !== '' && /^[\x21-\x7e]*$/.test(cookie.name + cookie.value) ? cookie : null;
}

/** RFC 6265 section 5.1.4. */
function isUnder(path: string, asked: string): boolean {
  return asked === path || (asked.startsWith(path) && (path.endsWith('/') || asked[path.length] === '/'));
}

function defaultPath({ pathname }: URL): string {
  return pathname.slice(0, Math.max(1, pathname.lastIndexOf('/')));
}
