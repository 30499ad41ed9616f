import { buffer } from 'node:stream/consumers';
import { type Header, pack } from 'tar-stream';

export interface TarFile {
  name: string;
  content?: Buffer | string;
  type?: Header['type'];
  linkname?: string;
}

/** A tar archive as POSIX has it. */
export async function tarOf(files: readonly TarFile[]): Promise<Buffer> {
  const archive = pack();
  for (const { content = '', ...header } of files) archive.entry(header, Buffer.from(content));
  archive.finalize();
  return buffer(archive);
}
