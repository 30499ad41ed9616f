import t from 'tap';
import { MICROS_PER_SECOND } from '../../src/model/clock.ts';
import { freshUntil } from '../../src/upstream/cache-lifetime.ts';
import { START } from '../helpers/store.ts';

const at = (seconds: number): string => new Date(START / 1000 + seconds * 1000).toUTCString();

t.test('how long an answer may be kept by its own word', (t) => {
  const cases: [string, Record<string, string>, number | null][] = [
    ['nothing said', {}, null],
    ['max-age', { 'cache-control': 'public, max-age=3600' }, 3600],
    ['in capitals and quotes', { 'cache-control': 'Max-Age="60", must-revalidate' }, 60],
    ['the first of two', { 'cache-control': 'max-age=60, max-age=90' }, 60],
    ['of shared caches only', { 'cache-control': 's-maxage=3600' }, null],
    ['max-age before Expires', { 'cache-control': 'max-age=60', expires: at(3600) }, 60],
    ['without the time in caches on the way', { 'cache-control': 'max-age=300', age: '290' }, 10],
    ['all of it spent on the way', { 'cache-control': 'max-age=300', age: '300' }, null],
    ['an Age that is none', { 'cache-control': 'max-age=300', age: 'old' }, 300],
    ['no-store', { 'cache-control': 'no-store, max-age=60' }, null],
    ['no-cache', { 'cache-control': 'no-cache', expires: at(60) }, null],
    ['no-cache of one field', { 'cache-control': 'no-cache="set-cookie", max-age=60' }, null],
    ['nonsense', { 'cache-control': 'max-age=soon', expires: at(60) }, null],
    ['negative', { 'cache-control': 'max-age=-1' }, null],
    ['zero', { 'cache-control': 'max-age=0' }, null],
    ['Expires', { expires: at(600) }, 600],
    ['Expires by their clock', { date: at(-60), expires: at(540) }, 600],
    ['Expires that has passed', { expires: at(-1) }, null],
    ['Expires that is no date', { expires: '0' }, null],
    ['more digits than a number has', { 'cache-control': `max-age=${'9'.repeat(20)}` }, 10 * 366 * 86_400],
    ['more than is read', { 'cache-control': `max-age=${'9'.repeat(400)}` }, null],
  ];
  for (const [name, headers, seconds] of cases) {
    const until = freshUntil(headers, START);
    t.equal(until === null ? null : (until - START) / MICROS_PER_SECOND, seconds, name);
  }
  t.end();
});
