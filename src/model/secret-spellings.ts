/**
 * A secret as texts of an upstream may repeat it: as it is, as addresses, forms, JSON and HTML write it, and in Base64; the longest
 * first, so that none is replaced in its middle.
 */
export function spellingsOf(plain: string): string[] {
  const encoded = encodeURIComponent(plain);
  const escaped = plain.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const all = [
    plain,
    encoded,
    encoded.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`),
    encoded.replaceAll('%20', '+'),
    JSON.stringify(plain).slice(1, -1),
    escaped,
    escaped.replaceAll('"', '&quot;'),
    Buffer.from(plain).toString('base64'),
    Buffer.from(plain).toString('base64url'),
  ];
  return [...new Set(all)].sort((one, other) => other.length - one.length);
}
