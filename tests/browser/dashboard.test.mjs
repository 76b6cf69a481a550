// The operator's dashboard in a real browser, over the demo's traffic; and what pages of strangers
// cannot do to the listener behind it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createServer } from 'node:http';
import { launch, startDemo } from './support.mjs';

const REBOUND = 'rebound.example';
let demo;
let browser;
let people;
let token;

before(async () => {
  demo = await startDemo('--admin', '127.0.0.1:0');
  browser = await launch(`--host-resolver-rules=MAP ${REBOUND} 127.0.0.1`);
  people = await (await fetch(new URL('/people?count=40', demo.page))).json();
  ({ token } = await (await fetch(new URL('/session', demo.page))).json());
});

after(async () => {
  await browser?.close();
  demo?.stop();
});

const figures = async () => (await fetch(new URL('/figures', demo.admin))).json();
const sum = (counts) => Object.values(counts).reduce((all, many) => all + many, 0);

async function ask(path, bearer = token) {
  const answer = await fetch(`${demo.proxy}/v1.0/${path}`, { headers: { authorization: `Bearer ${bearer}` } });
  await answer.arrayBuffer();
  return answer.status;
}

async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1240, height: 900 }, ...options });
  const page = await context.newPage();
  const mistakes = [];
  page.on('pageerror', (error) => mistakes.push(String(error)));
  page.on('console', (line) => line.type() === 'error' && mistakes.push(line.text()));
  await page.goto(url);
  return { page, context, mistakes };
}

/** Waits until the page says of how many photo requests it speaks. */
const shows = (page, requests) => page.waitForFunction(
  (text) => document.getElementById('saved-of').textContent.startsWith(`of ${text} photo requests`), requests.toLocaleString('en'), { timeout: 10_000 });

const legend = (page) => page.$$eval('#ways-legend li', (all) => Object.fromEntries(all.map(
  (line) => [line.querySelector('i').className, Number(line.querySelector('b').textContent.replaceAll(',', ''))])));

test('every photo request is in the picture, those told to wait as such', async () => {
  const look = () => Promise.all(people.map((person) => ask(`users/${person.id}/photos/48x48/$value`)));
  await look();
  await look();
  const { page, context, mistakes } = await open(demo.admin);
  await shows(page, 2 * people.length);
  const before = await legend(page);
  assert.equal(sum(before), 2 * people.length);
  assert.equal(before.hit, people.length);
  await fetch(new URL('/throttle', demo.page), { method: 'POST' });
  const answers = [];
  for (const person of people.slice(0, 6)) {
    answers.push(await ask(`users/${person.id}/photos/360x360/$value`));
    answers.push(await ask(`users/${person.id}/photos/48x48/$value`));
  }
  await shows(page, 2 * people.length + answers.length);
  const now = await legend(page);
  assert.equal(sum(now), 2 * people.length + answers.length);
  assert.equal(now['held-up'], answers.filter((status) => status === 429).length - 1, 'one of them Graph itself told to wait');
  // Who was told to wait was given nothing from memory.
  const told = await figures();
  assert.equal(sum(told.ways), told.requests);
  assert.ok(told.stale.throttled <= answers.filter((status) => status === 200).length, JSON.stringify(told.stale));
  await page.waitForSelector('.budgets .closed .clock');
  assert.deepEqual(mistakes, []);
  await context.close();
});

test('it fits a phone, and the keyboard moves along the charts', async () => {
  const { page, context, mistakes } = await open(demo.admin, { viewport: { width: 360, height: 740 } });
  await page.waitForSelector('#rate[tabindex="0"]');
  const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(wide <= seen, `${wide} > ${seen}`);
  await page.focus('#rate');
  await page.keyboard.press('End');
  assert.match(await page.textContent('#reader'), /^now, requests .+, calls to Graph /);
  await page.keyboard.press('Escape');
  assert.equal(await page.$('.tip'), null);
  assert.deepEqual(mistakes, []);
  await context.close();
});

test('strangers\' words in paths and tokens never become markup', async () => {
  const markup = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>';
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const forged = `${part({ alg: 'RS256' })}.${part({ tid: markup, appid: markup, azp: markup, oid: markup, upn: markup, scp: markup })}.x`;
  for (const bearer of [forged, token]) { await ask(`users/${encodeURIComponent(markup)}/photo/$value`, bearer); }
  const { page, context, mistakes } = await open(demo.admin);
  await shows(page, (await figures()).requests);
  assert.equal(await page.evaluate(() => window.taken), undefined);
  assert.equal(await page.$('img, body script'), null);
  assert.doesNotMatch(await page.content(), /onerror/);
  assert.deepEqual(mistakes, []);
  await context.close();
});

test('where a token is wanted it is asked for, and kept in the tab alone', async () => {
  const secret = 'a-token-of-the-operator';
  const guarded = await startDemo('--admin', '127.0.0.1:0', '--admin-token', secret);
  try {
    const { page, context } = await open(guarded.admin);
    for (const given of ['not-the-token', secret]) {
      await page.waitForSelector('#token:not([hidden])');
      await page.fill('#token-value', given);
      await page.keyboard.press('Enter');
    }
    await page.waitForSelector('#main:not([hidden]) #saved-of:not(:empty)');
    assert.equal(await page.isHidden('#token'), true);
    const kept = await page.evaluate(() => [location.href, document.cookie, Object.values(localStorage).join(), document.documentElement.outerHTML].join());
    assert.ok(!kept.includes(secret));
    await context.close();
  } finally {
    guarded.stop();
  }
});

test('a page of another origin purges nothing and reads nothing, by whatever name it comes', async () => {
  await ask(`users/${people[0].id}/photos/48x48/$value`);
  const held = (await figures()).entries;
  assert.ok(held > 0);
  const strangers = createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html');
    answer.end('<!doctype html><title>a stranger</title><iframe name="nowhere"></iframe>');
  }).listen(0, '127.0.0.1');
  await new Promise((done) => strangers.once('listening', done));
  const admin = new URL(demo.admin);
  try {
    // Another port of this machine is the same site, and another one.
    for (const host of ['127.0.0.1', REBOUND]) {
      const { page, context } = await open(`http://${host}:${strangers.address().port}/`);
      const outcome = await page.evaluate(async ([purge, read]) => {
        const order = '{"everything":true}';
        const json = { 'content-type': 'application/json' };
        const attempt = (url, options) => fetch(url, { credentials: 'include', ...options })
          .then(async (answer) => `${answer.type} ${await answer.text()}`, () => 'failed');
        const outcome = [
          await attempt(purge, { method: 'POST', body: order, headers: json }),
          await attempt(purge, { method: 'POST', body: order, headers: json, mode: 'no-cors' }),
          await attempt(purge, { method: 'POST', body: new Blob([order], { type: 'application/json' }), mode: 'no-cors' }),
          await attempt(purge, { method: 'POST', body: order, mode: 'no-cors' }),
          await attempt(read, {}),
          await attempt(read, { mode: 'no-cors' }),
        ];
        navigator.sendBeacon(purge, new Blob([order], { type: 'text/plain' }));
        try { navigator.sendBeacon(purge, new Blob([order], { type: 'application/json' })); } catch { /* no leave */ }
        const form = document.createElement('form');
        Object.assign(form, { method: 'POST', action: purge, enctype: 'text/plain', target: 'nowhere' });
        const field = document.createElement('input');
        Object.assign(field, { name: '{"everything":true,"x":"', value: '"}' });
        form.append(field);
        document.body.append(form);
        const sent = new Promise((done) => { document.querySelector('iframe').onload = done; });
        form.submit();
        await sent;
        return outcome;
      }, [new URL('/purge', admin).href, new URL('/figures?history', admin).href]);
      for (const one of outcome) { assert.ok(one === 'failed' || one === 'opaque ', `${host}: ${one}`); }
      await context.close();
    }
    // A name of the stranger's that now leads to this machine: the page is of one origin with the listener.
    const { page, context } = await open(`http://${REBOUND}:${admin.port}/figures`);
    const rebound = await page.evaluate(async () => {
      const purge = await fetch('/purge', { method: 'POST', body: '{"everything":true}', headers: { 'content-type': 'application/json' } });
      return [purge.status, (await fetch('/figures')).status, (await fetch('/metrics')).status, (await fetch('/')).status];
    });
    assert.deepEqual(rebound, [421, 421, 421, 421]);
    await context.close();
  } finally {
    strangers.close();
    strangers.closeAllConnections();
  }
  assert.equal((await figures()).entries, held);
});
