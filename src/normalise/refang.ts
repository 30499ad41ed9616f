/**
 * Threat reports defang indicators so that nobody clicks them: `hxxp://evil[.]example`, `1.2.3[.]4`, `me[at]evil.example`.
 * Refanging undoes that. A value that is not defanged is returned as it is.
 */

const DEFANGED = /[[({\\]/;
const DOT = /[[({]\s?(?:\.|dot)\s?[\])}]|\\\.|[[({]\.|\.[\])}]/gi;
const AT = /[[({]\s?(?:@|at)\s?[\])}]/gi;
const COLON = /\[:\]|\(:\)|\{:\}/g;
const SLASH = /\[\/\]/g;

/** Refangs an address, a host name or an e-mail address, in which brackets and backslashes have no other meaning. */
export function refang(text: string): string {
  if (!DEFANGED.test(text)) return text;
  return text.replace(DOT, '.').replace(AT, '@').replace(COLON, ':').replace(SLASH, '/');
}

const DEFANGED_SCHEME = /^(?:h(?:xx|\*\*)p(s?)|fxp)(?=[[({]?:)/i;
const SEPARATOR = /^([a-z][a-z0-9+.-]*)(?:\[:\]\/\/|\(:\)\/\/|\[:\/\/\]|:\[\/\/\]|:\[\/\]\[\/\]|\[:\]\[\/\]\[\/\])/i;
const URL_DOT = /[[({]\s?(?:\.|dot)\s?[\])}]/gi;

/**
 * Refangs a URL. Brackets are removed from the path only where the scheme or the host is defanged as well: else they may be meant.
 */
export function refangUrl(text: string): string {
  const plain = text
    .replace(DEFANGED_SCHEME, (_, secure: string | undefined) => (secure === undefined ? 'ftp' : `http${secure}`))
    .replace(SEPARATOR, '$1://');
  const afterScheme = plain.indexOf('://') + 3;
  const end = plain.slice(afterScheme).search(/[/?#]/);
  const host = end < 0 ? plain.slice(afterScheme) : plain.slice(afterScheme, afterScheme + end);
  const isDefanged = plain !== text || host.search(URL_DOT) >= 0 || host.search(COLON) >= 0 || host.endsWith('[');
  return isDefanged ? plain.replace(URL_DOT, '.').replace(AT, '@').replace(COLON, ':').replace(SLASH, '/') : plain;
}

/** Does the text begin as a URL, defanged or not? */
export function isUrlShaped(text: string): boolean {
  return /^[a-z*][a-z0-9+.*-]{1,30}(?:[[({]?:[\])}]?|:)\[?\/\]?\[?\//i.test(text);
}
