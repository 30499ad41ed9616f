import Type, { type Static } from 'typebox';
import { formatMillis } from '../model/timestamp.ts';
import { indicatorsOf } from './ioc.ts';
import type { Output, OutputRequest } from './output.ts';

const options = Type.Object(
  {
    comments: Type.Boolean({
      default: false,
      description: 'a first line behind `#` names the collection, its TLP and the time.',
    }),
  },
  { additionalProperties: false },
);

/** One value per line, for block lists and shell scripts. Without rows the document is empty. */
export const txt: Output<Static<typeof options>> = {
  name: 'txt',
  title: 'one value per line',
  mediaType: 'text/plain; charset=utf-8',
  aliases: [],
  extension: 'txt',
  options,
  expressesObjects: false,
  // A value alone can't say that it is withdrawn.
  isAppendable: false,
  async *write(request) {
    if (request.options.comments) yield commentOf(request);
    for await (const slice of request.slices) {
      const rows = indicatorsOf(slice);
      if (rows.length > 0) yield rows.map(({ value }) => `${value}\n`).join('');
    }
  },
};

function commentOf({ collection: { alias, title, tlp }, at }: OutputRequest): string {
  return `# ${title.replace(/\p{Cc}/gu, ' ')} (${alias}), TLP:${tlp.toUpperCase()}, ${formatMillis(at)}\n`;
}
