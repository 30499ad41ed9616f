import { randomUUID } from 'node:crypto';
import { frameList } from '../model/json-frame.ts';
import { renderEntry } from '../stix/render.ts';
import { noOptions } from './options.ts';
import type { Output } from './output.ts';

/** STIX 2.1 section 8: a bundle. It has a random id, because a bundle means nothing beyond its transport. */
export const stix: Output = {
  name: 'stix',
  title: 'a STIX 2.1 bundle',
  mediaType: 'application/stix+json;version=2.1',
  aliases: ['application/json'],
  extension: 'json',
  options: noOptions,
  expressesObjects: true,
  isAppendable: false,
  async *write({ slices, identityId, collection: { tlpVersion } }) {
    // Section 8 omits an empty list, but clients expect `objects`.
    const { opening, closing } = frameList({ type: 'bundle', id: `bundle--${randomUUID()}` }, 'objects');
    yield opening;
    let separator = '';
    for await (const slice of slices) {
      if (slice.length === 0) continue;
      yield separator + slice.map((entry) => renderEntry(entry, { identityId, tlpVersion })).join(',');
      separator = ',';
    }
    yield closing;
  },
};
