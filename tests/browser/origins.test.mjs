// A page of another origin and the browser's own cache, in a real browser: what Chromium puts on the wire is
// watched in Chromium, and what the proxy answered is counted by the proxy.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, startDemo } from './support.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser?.close());

/** A demo and its page, which is another origin than the proxy; `wire` is what the browser sends and gets. */
async function world(t, ...flags) {
  const demo = await startDemo('--admin', '127.0.0.1:0', ...flags);
  t.after(demo.stop);
  const context = await browser.newContext({ bypassCSP: true });
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(new URL('/graph-photo.js', demo.page).href); // a page of that origin which asks for nothing by itself
  const [people, session] = await Promise.all(['/people', '/session'].map(async (path) => (await fetch(new URL(path, demo.page))).json()));
  const wire = [];
  const cdp = await context.newCDPSession(page);
  const requests = new Map();
  cdp.on('Network.requestWillBeSent', ({ requestId, request }) => requests.set(requestId, request));
  cdp.on('Network.requestWillBeSentExtraInfo', ({ requestId, headers }) => wire.push({ requestId, asked: headers }));
  cdp.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode, headers }) => {
    const sent = wire.find((one) => one.requestId === requestId && one.status === undefined);
    const { method, url } = requests.get(requestId) ?? {};
    Object.assign(sent ?? {}, { method, path: url ? new URL(url).pathname : '', status: statusCode, got: headers });
  });
  await cdp.send('Network.enable');
  const ask = (base, path, options = {}) => page.evaluate(async ([url, token, options]) => {
    const response = await fetch(url, { ...options, headers: { Authorization: `Bearer ${token}`, ...options.headers } });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    return { status: response.status, type: response.type, visible: Object.fromEntries(response.headers), hash: hash.join(','), length: bytes.length };
  }, [`${base}/v1.0${path}`, session.token, options]);
  /** The proxy's own count of answers to photo requests from memory with that status. */
  const answered = async (status) => {
    const text = await (await fetch(`${demo.admin}/metrics`)).text();
    const line = text.split('\n').find((line) => line.includes('answers_total{') && line.includes('source="memory"') && line.includes(`status="${status}"`));
    return Number(line?.split(' ').at(-1) ?? 0);
  };
  const figures = async () => (await fetch(new URL('/figures', demo.page))).json();
  const photo = (n, size = '96x96') => `/users/${people[n].id}/photos/${size}/$value`;
  return { demo, wire, ask, answered, figures, photo, people, session };
}
/** What went over the wire for a GET to Graph's paths: without preflights, what the browser's cache answered, and the
 *  picture of the page itself that some versions of Chromium ask its server for. */
const gets = (wire) => wire.filter((one) => one.method === 'GET' && one.status !== undefined && one.path.startsWith('/v1.0/'));

test('the browser\'s own cache asks again when a photo has expired, and gets a 304', async (t) => {
  // Expired at once: max-age=0, and nothing stale is shown.
  const { demo, wire, ask, answered, figures, photo } = await world(t, '--photo-ttl', '0s', '--stale-while-revalidate', '0s');
  const first = await ask(demo.proxy, photo(0));
  assert.equal(first.status, 200);
  const { downloads } = await figures();
  for (let round = 1; round <= 3; round += 1) {
    const again = await ask(demo.proxy, photo(0));
    assert.deepEqual([again.status, again.hash], [200, first.hash], 'the script sees the whole photo');
    assert.equal(await answered(304), round);
  }
  assert.equal((await figures()).downloads, downloads);
  const sent = gets(wire);
  assert.deepEqual(sent.map((one) => one.status), [200, 304, 304, 304]);
  for (const one of sent.slice(1)) {
    const field = Object.entries(one.asked).find(([name]) => name.toLowerCase() === 'if-none-match');
    assert.equal(field[1], first.visible.etag);
  }
});

test('a fresh photo is not asked for again, and one that the page wants checked costs a 304 and no Graph call', async (t) => {
  const { demo, wire, ask, answered, figures, photo } = await world(t);
  const first = await ask(demo.proxy, photo(0));
  const { photo_calls: calls } = await figures();
  const kept = await ask(demo.proxy, photo(0));
  assert.deepEqual([kept.status, kept.hash], [200, first.hash]);
  assert.equal(gets(wire).length, 1, 'the browser\'s own copy is fresh');
  const checked = await ask(demo.proxy, photo(0), { cache: 'no-cache' });
  assert.deepEqual([checked.status, checked.hash], [200, first.hash]);
  assert.deepEqual(gets(wire).map((one) => one.status), [200, 304]);
  assert.equal(await answered(304), 1);
  assert.equal((await figures()).photo_calls, calls);
});

test('a page of another origin reads what it would read from Graph itself, whoever asked first', async (t) => {
  const { demo, wire, ask, photo, people, session } = await world(t);
  const none = people.findIndex((_, n) => n % 3 === 2);
  const headers = { Authorization: `Bearer ${session.token}` };
  // First without an Origin, as a server or curl would ask.
  for (const path of [photo(0), photo(none)]) {
    const plain = await fetch(`${demo.proxy}/v1.0${path}`, { headers });
    assert.equal(plain.headers.get('access-control-allow-origin') ?? '*', '*');
    await plain.arrayBuffer();
  }
  for (const [path, status] of [[photo(0), 200], [photo(none), 404], [`/users/${people[0].id}/photo`, 200]]) {
    const [direct, through] = [await ask(demo.graph, path, { cache: 'no-store' }), await ask(demo.proxy, path, { cache: 'no-store' })];
    assert.deepEqual([through.status, through.type], [status, 'cors']);
    // Bodies of errors and of metadata name their own request or context.
    if (status === 200 && path !== `/users/${people[0].id}/photo`) { assert.equal(through.hash, direct.hash); }
    const missing = Object.keys(direct.visible).filter((name) => !(name in through.visible));
    assert.deepEqual(missing, [], 'nothing that Graph exposes is hidden');
    for (const name of ['content-type', 'etag']) { assert.equal(through.visible[name], direct.visible[name], name); }
    if (!path.endsWith('/photo')) { assert.match(through.visible['cache-status'], /; hit/); }
    assert.ok(through.visible['request-id'] && through.visible['client-request-id']);
  }
  // What was asked for with an Origin first is given without it, too.
  await ask(demo.proxy, photo(1), { cache: 'no-store' });
  const plain = await fetch(`${demo.proxy}/v1.0${photo(1)}`, { headers });
  assert.match(plain.headers.get('cache-status'), /; hit/);
  await plain.arrayBuffer();
  // The page's origin was told, and a preflight went before.
  const origin = new URL(demo.page).origin;
  const field = (one, wanted) => Object.entries(one ?? {}).find(([name]) => name.toLowerCase() === wanted)?.[1];
  assert.ok(gets(wire).every((one) => field(one.asked, 'origin') === origin));
});

test('a page is refused as Graph refuses it: it can read the 401 and its challenge', async (t) => {
  const { demo, ask, photo } = await world(t);
  const wrong = { headers: { Authorization: 'Bearer nobody' }, cache: 'no-store' };
  const [direct, through] = [await ask(demo.graph, photo(0), wrong), await ask(demo.proxy, photo(0), wrong)];
  assert.equal(through.status, 401);
  assert.equal(through.visible['www-authenticate'], direct.visible['www-authenticate']);
  assert.ok(through.visible['www-authenticate'].startsWith('Bearer'));
});
