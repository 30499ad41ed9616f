/** Set by `npm run test:fast` and `npm run test:mutation`: checks by programs of other makers are skipped, and say so. */
export const isFast = process.env['SLUICE_TEST'] === 'fast';

/** The reason that such a skip prints. */
export const notFast = 'not in test:fast: another program checks it';
