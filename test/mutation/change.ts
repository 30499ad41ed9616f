import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/**
 * Changes one file of the source as it is loaded: `node --import ./test/mutation/change.ts TEST`, with the change as JSON in
 * MUTANT, `{ file, text, replacement }`. Files on the disk stay as they are.
 */
const mutant: { file: string; text: string; replacement: string } = JSON.parse(process.env['MUTANT'] ?? '{}');
const target = new URL(`../../${mutant.file}`, import.meta.url).href;

registerHooks({
  load(url, context, nextLoad) {
    if (url !== target) return nextLoad(url, context);
    const source = readFileSync(fileURLToPath(url), 'utf8').replace(mutant.text, () => mutant.replacement);
    return { format: 'module-typescript', source, shortCircuit: true };
  },
});
