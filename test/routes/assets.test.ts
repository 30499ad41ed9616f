import { readdirSync } from 'node:fs';
import t from 'tap';
import { readAssets } from '../../routes/assets.ts';
import { openApp } from '../helpers/app.ts';

t.test('the page says what this is to anyone, and nothing of versions and content', async (t) => {
  const { app } = await openApp(t, { version: '7.8.9-test' });
  const page = await app.inject({ url: '/' });
  t.equal(page.statusCode, 200);
  t.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  t.match(page.body, /gateway for threat intelligence/);
  t.notMatch(page.body, /7\.8\.9|\{assets\}|<script|style=|javascript:/);
  t.notMatch(JSON.stringify(page.headers), /7\.8\.9/);
  for (const [, path = ''] of page.body.matchAll(/href="(\/[^"]*)"/g)) {
    const { statusCode } = await app.inject({ url: path });
    t.equal(statusCode, path === '/docs/' ? 401 : 200, path);
  }
});

t.test('what a page may load is told, and comes from this server alone', async (t) => {
  const { app } = await openApp(t);
  const { headers } = await app.inject({ url: '/' });
  const policy = String(headers['content-security-policy']);
  t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self';/);
  t.match(policy, /base-uri 'none'; frame-ancestors 'none'$/);
  t.notMatch(policy, /unsafe|\*|https?:|data:/);
  t.match(headers, { 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY' });
});

t.test('loaded files are kept for ever under the hash of their content, pages are asked about', async (t) => {
  const { app } = await openApp(t);
  const page = await app.inject({ url: '/' });
  t.equal(page.headers['cache-control'], 'no-cache');
  const [, path = ''] = /href="([^"]*\.css)"/.exec(page.body) ?? [];
  t.match(path, /^\/assets\/[\w-]{22}\/home\.css$/);
  const file = await app.inject({ url: path });
  t.match(file, { statusCode: 200, headers: { 'content-type': 'text/css; charset=utf-8' } });
  t.equal(file.headers['cache-control'], 'public, max-age=31536000, immutable');
  for (const [url, etag] of [
    ['/', page.headers['etag']],
    [path, file.headers['etag']],
  ] as const) {
    t.match(etag, /^"[\w-]{22}"$/, url);
    const unchanged = await app.inject({ url, headers: { 'if-none-match': String(etag) } });
    t.match([unchanged.statusCode, unchanged.body, unchanged.headers['etag']], [304, '', etag], url);
    t.equal((await app.inject({ url, headers: { 'if-none-match': '"other"' } })).statusCode, 200, url);
    const head = await app.inject({ url, method: 'HEAD' });
    t.match([head.statusCode, head.body], [200, ''], url);
  }
  for (const url of [
    path.replace(/[\w-]{22}/, 'A'.repeat(22)),
    path.replace('home.css', 'other.css'),
    path.replace('home.css', 'index.html'),
    path.replace('home.css', '..%2fhome.css'),
    path.replace('home.css', 'constructor'),
  ]) {
    t.equal((await app.inject({ url })).statusCode, 404, url);
  }
});

t.test('every folder of assets can be read', async (t) => {
  for (const name of readdirSync(new URL('../../routes/assets/', import.meta.url))) {
    t.ok(readAssets(name, '/x').page('index.html'), name);
    t.throws(() => readAssets(name, '/x').page('none.html'), { code: 'internal' });
  }
});
