// The demo over TLS: page and photos over HTTP/2, in a real browser and by curl.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { launch, startDemo } from './support.mjs';

let demo;
let place;
before(async () => {
  place = await mkdtemp(join(tmpdir(), 'demo-tls-'));
  demo = await startDemo('--tls-dev', '--tls-dev-dir', place, '--tls-listen', '127.0.0.1:0');
});
after(async () => {
  demo?.stop();
  await rm(place, { recursive: true });
});

test('the page and its photos come over TLS and HTTP/2', async () => {
  assert.match(demo.page, /^https:/);
  const browser = await launch();
  try {
    // That the certificate is good is curl's to say; a browser takes its roots from the system alone.
    const page = await (await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 } })).newPage();
    const protocols = {};
    const cdp = await page.context().newCDPSession(page);
    cdp.on('Network.responseReceived', ({ response }) => {
      const { origin, pathname } = new URL(response.url);
      if (response.url.startsWith('https:')) { protocols[`${origin} ${pathname.endsWith('/$batch') ? '$batch' : pathname}`] = response.protocol; }
    });
    await cdp.send('Network.enable');
    await page.goto(new URL('/element', demo.page).href);
    await page.waitForFunction(() => document.body.dataset.ready === 'true', null, { timeout: 60_000 });
    assert.equal(await page.$$eval('graph-photo', (all) => all.filter((one) => one.state === 'photo').length), 67);
    const [own, photos] = [new URL(demo.page).origin, demo.tls_listen];
    assert.notEqual(own, photos);
    assert.equal(protocols[`${own} /element`], 'h2');
    assert.equal(protocols[`${photos} $batch`], 'h2');
    assert.deepEqual([...new Set(Object.values(protocols))], ['h2']);
    const hops = await page.evaluate(() => performance.getEntriesByType('resource').map(({ name, nextHopProtocol }) => [new URL(name).pathname, nextHopProtocol]));
    assert.ok(hops.some(([path, hop]) => path === '/graph-photo.js' && hop === 'h2'), JSON.stringify(hops));
    // The first page, too, whose photos come one by one.
    await page.goto(demo.page);
    await page.waitForFunction(() => document.body.dataset.ready === 'true', null, { timeout: 60_000 });
    assert.equal(await page.$$eval('.face[data-state=photo]', (all) => all.length), 48);
    assert.deepEqual([...new Set(Object.values(protocols))], ['h2']);
  } finally {
    await browser.close();
  }
});

test('curl trusts the printed CA and gets the page and a photo over HTTP/2', async () => {
  const curl = async (...args) => (await promisify(execFile)('curl', ['-sS', '--http2', '--cacert', demo.tls_ca, '-o', '/dev/null',
    '-w', '%{http_version} %{http_code} %{ssl_verify_result}', ...args])).stdout;
  const text = (await promisify(execFile)('curl', ['-sS', '--cacert', demo.tls_ca, new URL('/session', demo.page).href])).stdout;
  const { token, proxy } = JSON.parse(text);
  assert.equal(proxy, demo.tls_listen);
  assert.equal(await curl(demo.page), '2 200 0');
  for (const host of ['127.0.0.1', 'localhost']) {
    const url = `${proxy.replace('127.0.0.1', host)}/v1.0/me/photo/$value`;
    assert.equal(await curl('-H', `Authorization: Bearer ${token}`, url), '2 200 0');
    assert.equal(await curl('--http1.1', '-H', `Authorization: Bearer ${token}`, url), '1.1 200 0');
  }
  await assert.rejects(promisify(execFile)('curl', ['-sS', '-o', '/dev/null', demo.page]), /certificate/);
});
