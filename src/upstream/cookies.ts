import { type Cookie, parseCookie } from 'undici';
import { type Clock, MICROS_PER_MS } from '../model/clock.ts';

/**
 * The cookies (RFC 6265) of one pull. Load balancers and sign-on gates set a cookie with a redirect and answer nothing without it.
 * A cookie is sent to the host that set it and to no other, without TLS only when it came without, and is forgotten with the pull.
 */
export interface CookieJar {
  /** Returns the Cookie header for an address; null for none. */
  headerFor(url: URL): string | null;
  /** Saves the Set-Cookie headers of an answer from this address. */
  save(url: URL, fields: string | string[] | undefined): void;
}

/** RFC 6265 section 6.1 asks for 50 per host. */
const MAX_COOKIES = 50;
/** Of a Cookie header: far below what servers take. */
const MAX_HEADER_BYTES = 8192;

interface StoredCookie {
  host: string;
  path: string;
  name: string;
  value: string;
  isSecure: boolean;
}

export function createCookieJar(clock: Clock): CookieJar {
  const stored = new Map<string, StoredCookie>();
  return {
    headerFor(url) {
      const pairs = [...stored.values()]
        .filter(
          ({ host, path, isSecure }) =>
            host === url.host && isUnder(path, url.pathname) && !(isSecure && url.protocol !== 'https:'),
        )
        .map(({ name, value }) => `${name}=${value}`);
      let room = MAX_HEADER_BYTES;
      const sent = pairs.filter((pair) => {
        room -= pair.length + 2;
        return room >= 0;
      });
      return sent.length === 0 ? null : sent.join('; ');
    },
    save(url, fields = []) {
      for (const field of [fields].flat().slice(0, MAX_COOKIES)) {
        const cookie = parse(field);
        if (cookie === null) continue;
        const path = cookie.path?.startsWith('/') ? cookie.path : defaultPath(url);
        const { host } = url;
        const { name, value } = cookie;
        const id = JSON.stringify([host, path, name]);
        stored.delete(id);
        // RFC 6265 section 5.2: a cookie that has expired is removed. One that expires later outlives the pull.
        const isExpired =
          (cookie.maxAge ?? 1) <= 0 || Number(cookie.expires ?? Infinity) * MICROS_PER_MS <= clock.now();
        if (isExpired || stored.size >= MAX_COOKIES) continue;
        stored.set(id, { host, path, name, value, isSecure: url.protocol === 'https:' || cookie.secure === true });
      }
    },
  };
}

/** Null for what is no cookie, or can't stand in a header. */
function parse(field: string): Cookie | null {
  const cookie = parseCookie(field);
  return cookie !== null && cookie.name !== '' && /^[\x21-\x7e]*$/.test(cookie.name + cookie.value) ? cookie : null;
}

/** RFC 6265 section 5.1.4. */
function isUnder(path: string, requested: string): boolean {
  return requested === path || (requested.startsWith(path) && (path.endsWith('/') || requested[path.length] === '/'));
}

/** RFC 6265 section 5.1.4. */
function defaultPath({ pathname }: URL): string {
  return pathname.slice(0, Math.max(1, pathname.lastIndexOf('/')));
}
