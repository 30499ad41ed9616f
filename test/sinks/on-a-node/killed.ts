import type { Test } from 'tap';
import { openPushing } from '../../helpers/pushing.ts';

/** A process of its own that delivers to the sink `siem` until it is killed: `node killed.ts DIRECTORY NODE SINKS`. */
const [dir = '', url = '', sinks = ''] = process.argv.slice(2);
const t = { teardown: () => undefined, ok: () => true, error: () => true } as unknown as Test;
const { side } = await openPushing(t, { url }, sinks, { dir });
await side.deliver('siem');
