/**
 * Threat reports write indicators so that nobody clicks them: `hxxp://evil[.]example`, `1.2.3[.]4`, `me[at]evil.example`.
 * This takes the disguise off again; a value without one passes untouched.
 */

const DISGUISE = /[[({\\]/;
const DOT = /[[({]\s?(?:\.|dot)\s?[\])}]|\\\.|[[({]\.|\.[\])}]/gi;
const AT = /[[({]\s?(?:@|at)\s?[\])}]/gi;
const COLON = /\[:\]|\(:\)|\{:\}/g;
const SLASH = /\[\/\]/g;

/** An address, host name or e-mail address, in which brackets and backslashes mean nothing else. */
export function refang(text: string): string {
  if (!DISGUISE.test(text)) return text;
  return text.replace(DOT, '.').replace(AT, '@').replace(COLON, ':').replace(SLASH, '/');
}

const DISGUISED_SCHEME = /^(?:h(?:xx|\*\*)p(s?)|fxp)(?=[[({]?:)/i;
const SEPARATOR = /^([a-z][a-z0-9+.-]*)(?:\[:\]\/\/|\(:\)\/\/|\[:\/\/\]|:\[\/\/\]|:\[\/\]\[\/\]|\[:\]\[\/\]\[\/\])/i;
const URL_DOT = /[[({]\s?(?:\.|dot)\s?[\])}]/gi;

/**
 * A URL. A bracketed dot is a disguise only where the scheme or the host is disguised as well: in a path it may be meant.
 */
export function refangUrl(text: string): string {
  const plain = text
    .replace(DISGUISED_SCHEME, (_, secure: string | undefined) => (secure === undefined ? 'ftp' : `http${secure}`))
    .replace(SEPARATOR, '$1://');
  const afterScheme = plain.indexOf('://') + 3;
  const end = plain.slice(afterScheme).search(/[/?#]/);
  const host = end < 0 ? plain.slice(afterScheme) : plain.slice(afterScheme, afterScheme + end);
  const isDisguised = plain !== text || host.search(URL_DOT) >= 0 || host.search(COLON) >= 0 || host.endsWith('[');
  return isDisguised ? plain.replace(URL_DOT, '.').replace(AT, '@').replace(COLON, ':').replace(SLASH, '/') : plain;
}

/** Does it begin as a URL does, disguised or not? */
export function isUrlShaped(text: string): boolean {
  return /^[a-z*][a-z0-9+.*-]{1,30}(?:[[({]?:[\])}]?|:)\[?\/\]?\[?\//i.test(text);
}
