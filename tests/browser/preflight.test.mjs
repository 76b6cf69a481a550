// A page of another origin in a real browser, whose preflights the proxy answers for Graph.
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { launch, startDemo } from './support.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** A page that reads a photo and Graph's `/me` through the proxy; what came of it, and the proxy's own figures. */
async function visit(t, origins) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const demo = await startDemo('--admin', '127.0.0.1:0', '--demo-listen', `127.0.0.1:${port}`,
    '--preflight', 'answer', '--preflight-origins', origins ?? origin);
  t.after(demo.stop);
  const context = await browser.newContext({ bypassCSP: true });
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(new URL('/graph-photo.js', demo.page).href);
  const [people, session] = await Promise.all(['/people', '/session'].map(async (path) => (await fetch(new URL(path, demo.page))).json()));
  const read = (path) => page.evaluate(async ([url, token]) => {
    const response = await fetch(url, { headers: { Authorization: `Bearer ${token}`, 'client-request-id': 'b1' } });
    return [response.status, response.type, (await response.arrayBuffer()).byteLength > 0];
  }, [`${demo.proxy}/v1.0${path}`, session.token]);
  const passed = async () => {
    const text = await (await fetch(`${demo.admin}/metrics`)).text();
    const lines = text.split('\n').filter((line) => /upstream_requests_total\{.*route="pass_through"/.test(line));
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  };
  return { read, passed, photo: (n) => `/users/${people[n].id}/photos/96x96/$value` };
}

test('a page whose origin is named reads photos, and no preflight reaches Graph', async (t) => {
  const { read, passed, photo } = await visit(t);
  for (const n of [0, 1, 3]) assert.deepEqual(await read(photo(n)), [200, 'cors', true]);
  assert.equal(await passed(), 0);
  // Everything else is still Graph's to allow: the preflight and the question itself.
  assert.deepEqual(await read('/me'), [200, 'cors', true]);
  assert.equal(await passed(), 2);
});

test('a page whose origin is not named reads what Graph lets it read', async (t) => {
  const { read, passed, photo } = await visit(t, 'https://app.example');
  assert.deepEqual(await read(photo(0)), [200, 'cors', true]);
  assert.equal(await passed(), 1, 'the preflight');
});
