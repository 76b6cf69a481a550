// <graph-photo> in a real browser: against a Graph that says what each test wants, and, for a page of
// a hundred faces, through the proxy.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { busy, gate, missing, picture, startStage } from './stage.mjs';
import { launch, startDemo } from './support.mjs';

let browser;
let stage;
let elsewhere;
let page;
let mistakes;
let opened;

before(async () => { browser = await launch(); });
after(() => browser?.close());
beforeEach(async () => {
  [stage, elsewhere] = await Promise.all([startStage(), startStage()]);
  await open();
});
afterEach(async () => {
  stage.stop();
  elsewhere.stop();
  assert.deepEqual(mistakes, []);
});

/** An empty page with the module and a provider: it gives `first`, then `second` when asked to renew. */
async function open(options = {}) {
  mistakes = [];
  if (!page || JSON.stringify(options) !== opened) {
    await page?.context().close();
    page = await (await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })).newPage();
    page.on('pageerror', (error) => mistakes.push(String(error)));
    opened = JSON.stringify(options);
  }
  await page.goto(stage.origin);
  await page.evaluate(async () => {
    window.asked = [];
    window.told = [];
    document.addEventListener('securitypolicyviolation', (event) => { throw new Error(`${event.violatedDirective} ${event.blockedURI}`); });
    for (const type of ['graph-photo-load', 'graph-photo-error']) {
      document.addEventListener(type, ({ target, detail }) => window.told.push({ type, id: target.id, ...detail }));
    }
    window.lib = await import('/graph-photo.js');
    window.lib.setTokenProvider(async ({ renew }) => { window.asked.push(renew); return renew ? 'second' : 'first'; });
  });
}

/** Places elements with these attributes, all in one task. */
const place = (...all) => page.evaluate((all) => {
  document.body.append(...all.map((attributes) => {
    const element = document.createElement('graph-photo');
    for (const [name, value] of Object.entries(attributes)) { element.setAttribute(name, value); }
    return element;
  }));
}, all);
const settled = () => page.waitForFunction(() => [...document.querySelectorAll('graph-photo')].every((one) => one.state !== 'loading'));
/** What each shows: the width of its picture, or its initials. */
const shown = () => page.$$eval('graph-photo', (all) => all.map((one) => {
  const image = one.shadowRoot.querySelector('img');
  return image ? image.naturalWidth : one.shadowRoot.querySelector('[part=initials]')?.textContent ?? 'icon';
}));
const told = () => page.evaluate(() => window.told);
const faces = (count, more = {}) => Array.from({ length: count }, (_, n) => ({ 'user-id': `p${n}`, name: `Ada N${n}`, loading: 'eager', ...more }));
/** Frame by frame until it is so. */
async function until(so) {
  for (let frame = 0; frame < 600 && !so(); frame += 1) { await page.evaluate(() => new Promise(requestAnimationFrame)); }
  assert.ok(so(), String(so));
}
/** The number in `/users/pN/…`. */
const number = (url) => Number(url.match(/\/p(\d+)\//)[1]);

test('initials stand there first, and the photo when it is there', async () => {
  const answer = gate();
  stage.part = async () => { await answer.open; return picture(48); };
  await place({ id: 'a', 'user-id': 'ada@contoso.com', name: 'Ada King Lovelace (Contoso)' });
  await page.waitForFunction(() => document.querySelector('graph-photo').state === 'loading');
  assert.deepEqual(await shown(), ['AL']);
  answer.let();
  await settled();
  assert.deepEqual(await shown(), [48]);
  assert.deepEqual(await told(), [{ type: 'graph-photo-load', id: 'a', width: 48, height: 48 }]);
  assert.deepEqual(stage.batches, [{ token: 'Bearer first', urls: ['/users/ada@contoso.com/photos/48x48/$value'] }]);
});

test('who has no photo keeps the initials, and who has no name a figure', async () => {
  await place(
    { id: 'a', 'user-id': 'p1', name: '山田 太郎' }, { 'user-id': 'grace.hopper@contoso.com' }, { 'user-id': 'p2', name: '  ' },
    { 'user-id': 'p3', name: 'élodie' }, { name: 'Nobody Asked' }, { 'user-id': 'p4', name: 'No Fetch', 'disable-image-fetch': '' },
    { 'user-id': 'p5', name: 'Only Initials', 'avatar-type': 'initials' }, { 'person-query': 'ada', name: 'Not Searched' },
  );
  await settled();
  assert.deepEqual(await shown(), ['山太', 'GH', 'icon', 'É', 'NA', 'NF', 'OI', 'NS']);
  assert.deepEqual((await told())[0], { type: 'graph-photo-error', id: 'a', status: 404, reason: 'there is no photo' });
  assert.equal(stage.batches.flatMap((batch) => batch.urls).length, 4);
});

test('the smallest of Graph\'s sizes that is sharp is asked for', async () => {
  const sizes = { 32: 48, 48: 48, 49: 64, 90: 96, 100: 120, 500: 504, 649: null };
  await place(...Object.keys(sizes).map((size) => ({ 'user-id': `s${size}`, size, loading: 'eager' })));
  await settled();
  const first = stage.batches[0].urls;
  assert.deepEqual(first, Object.entries(sizes).map(([size, side]) => (
    side ? `/users/s${size}/photos/${side}x${side}/$value` : `/users/s${size}/photo/$value`)));
  await open({ deviceScaleFactor: 2 });
  stage.batches.length = 0;
  await place({ 'user-id': 'dense' }, { 'user-id': 'wide', size: 60 });
  await settled();
  assert.deepEqual(stage.batches[0].urls, ['/users/dense/photos/96x96/$value', '/users/wide/photos/120x120/$value']);
});

test('a photo that is smaller than wanted is shown as large as there is', async () => {
  stage.part = (url) => (url.includes('/photos/') ? missing : picture(96));
  await place({ 'user-id': 'small', size: 200 }, { 'user-id': 'none', size: 96 });
  await settled();
  assert.deepEqual((await shown())[0], 96);
  assert.deepEqual(stage.batches.flatMap((batch) => batch.urls),
    ['/users/small/photos/240x240/$value', '/users/none/photos/96x96/$value', '/users/small/photo/$value']);
});

test('me, groups and teams are asked for as Graph names them, and odd names are no paths', async () => {
  await place({ 'user-id': 'me' }, { 'person-query': 'me', size: 64 }, { 'group-id': 'g1' }, { 'team-id': 't1' },
    { 'user-id': 'a#EXT#@b.example' }, { 'user-id': '../me/messages?x=' });
  await settled();
  assert.deepEqual(stage.batches[0].urls, ['/me/photos/48x48/$value', '/me/photos/64x64/$value', '/groups/g1/photos/48x48/$value',
    '/teams/t1/photo/$value', '/users/a%23EXT%23@b.example/photos/48x48/$value', '/users/..%2Fme%2Fmessages%3Fx%3D/photos/48x48/$value']);
});

test('faces that appear together are asked for together, 20 in a batch, each once', async () => {
  stage.part = (url) => picture(number(url) + 1);
  await place(...faces(45), ...faces(45));
  await settled();
  assert.deepEqual(stage.batches.map((batch) => batch.urls.length), [20, 20, 5]);
  const widths = Array.from({ length: 45 }, (_, n) => n + 1);
  assert.deepEqual(await shown(), [...widths, ...widths]);
  assert.equal(await page.evaluate(() => new Set([...document.querySelectorAll('graph-photo')].map((one) => one.shadowRoot.querySelector('img').src)).size), 45);
  await place({ 'user-id': 'P7', size: 48 });
  await settled();
  assert.equal((await shown()).at(-1), 8);
  assert.equal(stage.batches.length, 3);
});

test('faces out of view are asked for when they come near', async () => {
  stage.part = () => picture(5);
  await page.evaluate(() => { document.body.append(Object.assign(document.createElement('div'), { id: 'long' })); document.getElementById('long').style.height = '5000px'; });
  await place({ 'user-id': 'p1' });
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  assert.equal(stage.batches.length, 0);
  await page.evaluate(() => document.querySelector('graph-photo').scrollIntoView());
  await settled();
  assert.deepEqual(await shown(), [5]);
});

test('an element given to somebody else never shows the one before', async () => {
  const [old, next] = [gate(), gate()];
  stage.part = async (url) => {
    if (url.includes('/p30/')) { await old.open; return picture(30); }
    if (url.includes('/p40/')) { await next.open; return picture(40); }
    return picture(number(url));
  };
  // The second element keeps the batch alive in which the first one's old answer comes.
  await place({ 'user-id': 'p30', name: 'Old One', loading: 'eager' }, { 'user-id': 'p30', name: 'Still Old', loading: 'eager' });
  await page.evaluate(() => {
    window.seen = [];
    const root = document.querySelector('graph-photo').shadowRoot;
    new MutationObserver(() => { const image = root.querySelector('img'); if (image) { window.seen.push(image.naturalWidth); } }).observe(root, { childList: true, subtree: true });
  });
  const give = (id) => page.$eval('graph-photo', (one, id) => one.setAttribute('user-id', id), id);
  await until(() => stage.batches.length >= 1);
  await give('p40');
  await until(() => stage.batches.length >= 2);
  old.let();
  await page.waitForFunction(() => document.querySelectorAll('graph-photo')[1].state === 'photo');
  assert.deepEqual((await shown())[0], 'OO');
  next.let();
  await settled();
  assert.deepEqual(await shown(), [40, 30]);
  // Back to the first, away again before anything can come, and to one without a photo.
  stage.part = (url) => (url.includes('/p60/') ? missing : picture(number(url)));
  await page.$eval('graph-photo', (one) => { for (const id of ['p30', 'p50', 'p60']) { one.setAttribute('user-id', id); } });
  assert.deepEqual((await shown())[0], 'OO', 'the picture is gone at once');
  await settled();
  assert.deepEqual((await shown())[0], 'OO');
  assert.deepEqual(await page.evaluate(() => window.seen), [40]);
});

test('a photo that Graph throttles is asked for once more when its wait is over', async () => {
  const times = {};
  stage.part = (url) => {
    const [once, ever] = [url.includes('/p1/'), url.includes('/p2/')];
    times[url] = (times[url] ?? 0) + 1;
    return ever || (once && times[url] === 1) ? busy(1) : picture(7);
  };
  await place({ 'user-id': 'p1', name: 'Ann One' }, { id: 'b', 'user-id': 'p2', name: 'Bea Two' }, { 'user-id': 'p3', name: 'Cy Three' });
  await page.waitForFunction(() => document.querySelectorAll('graph-photo')[2].state === 'photo');
  assert.deepEqual(await shown(), ['AO', 'BT', 7]);
  const start = Date.now();
  await settled();
  assert.ok(Date.now() - start > 500, 'not before its time');
  assert.deepEqual(await shown(), [7, 'BT', 7]);
  assert.deepEqual(Object.values(times), [2, 2, 1]);
  assert.deepEqual((await told()).filter(({ type }) => type === 'graph-photo-error'), [{ type: 'graph-photo-error', id: 'b', status: 429, reason: 'Graph says wait' }]);
});

test('a batch that is throttled as a whole waits, too, and one that fails leaves the initials', async () => {
  let answers = [{ status: 429, headers: { 'Retry-After': '0' } }, { status: 500 }];
  stage.whole = () => answers.shift();
  await place(...faces(3));
  await settled();
  assert.equal(stage.batches.length, 2);
  assert.deepEqual(await shown(), ['AN', 'AN', 'AN']);
  answers = [{ status: 200, body: '<html>' }];
  await place({ 'user-id': 'p9', name: 'Not Json' });
  await settled();
  answers = [{ status: 200, body: JSON.stringify({ responses: [{ id: '0', status: 200, headers: { 'Content-Type': 'image/png' }, body: 'bm90IGEgcGljdHVyZQ==' }] }) }];
  await place({ 'user-id': 'p10', name: 'Not Picture' });
  await settled();
  answers = [{ status: 200, body: JSON.stringify({ responses: [{ id: '0', status: 200, headers: { 'Content-Type': 'text/html' }, body: 'PGI+' }] }) }];
  await place({ 'user-id': 'p11', name: 'Not Image' });
  await settled();
  assert.deepEqual((await shown()).slice(3), ['NJ', 'NP', 'NI']);
});

test('a refused token is renewed once, for all batches together', async () => {
  stage.whole = ({ token }) => (token === 'Bearer first' ? { status: 401 } : null);
  stage.part = () => picture(9);
  await place(...faces(45));
  await settled();
  assert.deepEqual(await page.evaluate(() => window.asked), [false, true]);
  assert.deepEqual(new Set(await shown()), new Set([9]));
  assert.equal(stage.batches.length, 6);
  // Refused again: that is that.
  stage.whole = () => ({ status: 401 });
  await place({ id: 'z', 'user-id': 'p99', name: 'Zoe' });
  await settled();
  assert.deepEqual((await told()).at(-1), { type: 'graph-photo-error', id: 'z', status: 401, reason: 'there was no answer' });
  assert.equal(stage.batches.length, 8);
});

test('without a token nothing is asked, and before there is a provider nothing either', async () => {
  await page.evaluate(() => window.lib.setTokenProvider(async () => { throw new Error('signed out'); }));
  await place({ id: 'a', 'user-id': 'p1', name: 'Ann' });
  await settled();
  assert.deepEqual((await told())[0], { type: 'graph-photo-error', id: 'a', status: 401, reason: 'there is no token' });
  assert.equal(stage.batches.length, 0);
  await page.goto(stage.origin);
  await page.evaluate(() => import('/graph-photo.js'));
  await place({ 'user-id': 'p1', name: 'Ann' });
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  assert.equal(stage.batches.length, 0);
  stage.part = () => picture(6);
  await page.evaluate(async () => (await import('/graph-photo.js')).setTokenProvider(() => 'late'));
  await settled();
  assert.deepEqual(await shown(), [6]);
});

test('the token goes to the address that the provider was given for, and nowhere else', async () => {
  await place({ id: 'a', 'user-id': 'p1', name: 'Ann', 'base-url': elsewhere.origin }, { id: 'b', 'user-id': 'p1', name: 'Bob', 'base-url': 'javascript:alert(1)' });
  await settled();
  assert.deepEqual((await told()).map(({ id, status }) => [id, status]), [['a', 0], ['b', 0]]);
  // Nor after a redirect.
  stage.whole = () => ({ status: 307, headers: { Location: `${elsewhere.origin}/v1.0/$batch` } });
  await place({ 'user-id': 'p2', name: 'Cy' });
  await settled();
  assert.equal(stage.batches.length, 1);
  assert.deepEqual(elsewhere.seen, []);
  const refused = await page.evaluate(() => ['http://photos.example.com', 'ftp://localhost', 'data:,x', 'http://['].map((base) => {
    try { window.lib.setTokenProvider(() => 'x', base); return 'taken'; } catch { return 'refused'; }
  }));
  assert.deepEqual(new Set(refused), new Set(['refused']));
});

test('strangers\' names never become markup', async () => {
  const name = '<img src=x onerror="window.hit=1"> "><script>window.hit=1</script>';
  await place({ 'user-id': '"><b>x</b>', name, alt: name }, { 'user-id': 'p1', name: '<b> <i>' }, { 'group-id': '<svg/onload=window.hit=1>', name: '& <' });
  await settled();
  assert.equal(await page.evaluate(() => window.hit), undefined);
  const parts = await page.$$eval('graph-photo', (all) => all.flatMap((one) => [...one.shadowRoot.querySelectorAll('*')].map((node) => node.localName)));
  assert.deepEqual(new Set(parts), new Set(['span', 'svg', 'path']));
});

test('who is gone is not asked for, and a request that nobody waits for ends', async () => {
  // The next frame's batch holds one of the two.
  await page.evaluate(() => {
    for (const id of ['p7', 'p8']) {
      const photo = document.createElement('graph-photo');
      photo.setAttribute('loading', 'eager');
      photo.setAttribute('user-id', id);
      document.body.append(photo);
    }
    document.querySelector('graph-photo').remove();
  });
  await settled();
  assert.deepEqual(stage.batches.splice(0).map((batch) => batch.urls), [['/users/p8/photos/48x48/$value']]);
  await page.evaluate(() => document.body.replaceChildren());
  const never = gate();
  stage.part = () => never.open;
  await place(...faces(3));
  await until(() => stage.batches.length >= 1);
  await page.evaluate(() => document.querySelector('graph-photo').remove());
  await page.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(stage.gone, 0, 'two still wait');
  await page.evaluate(() => document.body.replaceChildren());
  await until(() => stage.gone >= 1);
  never.let(missing);
  // Moved within the page, an element keeps its picture.
  stage.part = () => picture(4);
  await place({ 'user-id': 'p9' });
  await settled();
  const asked = stage.batches.length;
  await page.evaluate(() => document.body.prepend(document.querySelector('graph-photo')));
  assert.deepEqual(await shown(), [4]);
  assert.equal(stage.batches.length, asked);
});

test('after forget, and for another person\'s token, no picture of before is shown or kept', async () => {
  stage.part = (url, token) => picture(token === 'Bearer first' ? 11 : 22);
  await place({ 'user-id': 'me', name: 'First Me' });
  await settled();
  assert.deepEqual(await shown(), [11]);
  await page.evaluate(() => window.lib.forget());
  assert.deepEqual(await shown(), ['FM']);
  await settled();
  assert.deepEqual([await shown(), stage.batches.length], [[11], 2]);
  const before = await page.$eval('graph-photo', (one) => one.shadowRoot.querySelector('img').src);
  const late = gate();
  stage.whole = async () => { await late.open; return null; };
  await page.evaluate(() => window.lib.setTokenProvider(() => 'other'));
  assert.deepEqual(await shown(), ['FM']);
  late.let();
  await settled();
  assert.deepEqual(await shown(), [22]);
  const revoked = await page.evaluate(async (src) => { const image = new Image(); image.src = src; return image.decode().then(() => false, () => true); }, before);
  assert.ok(revoked);
});

test('an answer for a person who has signed out meanwhile is not shown', async () => {
  const late = gate();
  stage.whole = async ({ token }) => { if (token === 'Bearer first') { await late.open; } return null; };
  stage.part = (url, token) => picture(token === 'Bearer first' ? 11 : 22);
  await place({ 'user-id': 'me', name: 'First Me' });
  await until(() => stage.batches.length >= 1);
  await page.evaluate(() => window.lib.setTokenProvider(() => 'other'));
  late.let();
  await settled();
  assert.deepEqual(await shown(), [22]);
});

test('a screen reader is told a picture and whose, and the keyboard passes by', async () => {
  stage.part = (url) => (url.includes('/p1/') ? picture(48) : missing);
  await place({ 'user-id': 'p1', name: 'Ada Lovelace' }, { 'user-id': 'p2', name: 'Alan', alt: 'the one in charge' }, { 'user-id': 'p3', name: 'Beside Text', alt: '' }, { 'user-id': 'p4' });
  await page.evaluate(() => {
    const button = document.createElement('button');
    const photo = document.createElement('graph-photo');
    photo.setAttribute('user-id', 'p1');
    photo.setAttribute('name', 'Open Me');
    button.append(photo);
    document.body.append(button);
  });
  await settled();
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const said = nodes.filter((node) => !node.ignored && ['image', 'img', 'button', 'StaticText'].includes(node.role?.value)).map((node) => [node.role.value, node.name?.value]);
  assert.deepEqual(said, [['image', 'Ada Lovelace'], ['image', 'the one in charge'], ['image', 'Profile photo'], ['button', 'Open Me'], ['image', 'Open Me']]);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.localName), 'button');
});

test('initials can be read, whatever the colour, in the light and in the dark', async () => {
  for (const colorScheme of ['light', 'dark']) {
    await open({ colorScheme });
    await place({ name: 'Ada Lovelace' });
    const worst = await page.$eval('graph-photo', (one) => {
      const disc = one.shadowRoot.querySelector('[part=disc]');
      const luminance = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
      return Math.min(...Array.from({ length: 360 }, (_, hue) => {
        disc.style.setProperty('--hue', hue);
        const { color, backgroundColor } = getComputedStyle(disc);
        const [dark, light] = [luminance(color), luminance(backgroundColor)].sort((a, b) => a - b);
        return (light + 0.05) / (dark + 0.05);
      }));
    });
    assert.ok(worst >= 7, `${colorScheme}: ${worst}`); // WCAG 2.2, 1.4.6
  }
});

test('nothing moves for those who asked for less motion, and a page can style the parts', async () => {
  stage.part = () => picture(48);
  for (const [reducedMotion, name] of [['reduce', 'none'], ['no-preference', 'shown']]) {
    await open({ reducedMotion });
    await place({ 'user-id': 'p1' });
    await settled();
    assert.equal(await page.$eval('graph-photo', (one) => getComputedStyle(one.shadowRoot.querySelector('img')).animationName), name);
  }
  const styled = await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('graph-photo { --graph-photo-size: 72px; --graph-photo-radius: 8px } graph-photo::part(image) { object-fit: contain }');
    document.adoptedStyleSheets = [sheet];
    const one = document.querySelector('graph-photo');
    return [one.offsetWidth, one.offsetHeight, getComputedStyle(one.shadowRoot.querySelector('[part=disc]')).borderRadius, getComputedStyle(one.shadowRoot.querySelector('img')).objectFit];
  });
  assert.deepEqual(styled, [72, 72, '8px', 'contain']);
});

test('what the guide for those who leave Graph Toolkit shows works as it stands', async () => {
  const markup = `
  <!-- docs: graph-photo -->
  <graph-photo user-id="ada@contoso.com" name="Ada Lovelace"></graph-photo>
  <!-- end -->
  `;
  const script = `
  // docs: graph-photo-provider
  import { setTokenProvider } from './graph-photo.js';

  setTokenProvider(async ({ renew }) => getToken({ renew }), 'https://photos.example.com');
  // end
  `;
  const batches = [];
  await page.route('https://app.example.com/**', async (route) => {
    const element = route.request().url().endsWith('/graph-photo.js');
    await route.fulfill(element
      ? { contentType: 'text/javascript', body: await readFile(new URL('../../deploy/graph-photo.js', import.meta.url)) }
      : { contentType: 'text/html', body: `<!doctype html>${markup}<script>window.getToken = () => 'abc'</script><script type="module">${script}</script>` });
  });
  await page.route('https://photos.example.com/**', async (route) => {
    batches.push([route.request().url(), route.request().headers().authorization]);
    await route.fulfill({ json: { responses: [{ id: '0', ...picture(33) }] }, headers: { 'Access-Control-Allow-Origin': 'https://app.example.com' } });
  });
  await page.goto('https://app.example.com/');
  await settled();
  assert.deepEqual(await shown(), [33]);
  assert.deepEqual(batches, [['https://photos.example.com/v1.0/$batch', 'Bearer abc']]);
});

test('a hundred faces are five batches: one call to Graph for each when cold, none when warm', async () => {
  const demo = await startDemo('--sharing', 'tenant');
  try {
    const calls = async () => (await (await fetch(new URL('/figures', demo.page))).json()).photo_calls;
    const view = async () => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      const faces = await context.newPage();
      faces.on('pageerror', (error) => mistakes.push(String(error)));
      const batches = [];
      faces.on('request', (request) => { if (request.method() === 'POST') { batches.push(JSON.parse(request.postData()).requests.length); } });
      const before = await calls();
      await faces.goto(new URL('/element', demo.page).href);
      await faces.waitForFunction(() => document.body.dataset.ready === 'true', null, { timeout: 60_000 });
      const states = await faces.$$eval('graph-photo', (all) => all.map((one) => one.state));
      const number = (state) => states.filter((one) => one === state).length;
      return { context, faces, batches, calls: await calls() - before, photos: number('photo'), initials: number('initials') };
    };
    const cold = await view();
    assert.deepEqual(cold.batches, [20, 20, 20, 20, 20]);
    assert.equal(cold.calls, 100);
    assert.deepEqual([cold.photos, cold.initials], [67, 33]);
    assert.equal(await cold.faces.$eval('graph-photo', (one) => one.shadowRoot.querySelector('img').naturalWidth), 96);
    const warm = await view();
    assert.deepEqual(warm.batches, cold.batches);
    assert.equal(warm.calls, 0);
    assert.deepEqual([warm.photos, warm.initials], [67, 33]);
    // Larger faces want a larger size of those who have one; the others are shown as large as there is.
    await warm.faces.click('#larger');
    await warm.faces.waitForFunction(() => document.body.dataset.ready === 'true', null, { timeout: 60_000 });
    const widths = await warm.faces.$$eval('graph-photo', (all) => all.map((one) => one.shadowRoot.querySelector('img')?.naturalWidth ?? 0));
    assert.equal(widths.filter((width) => width > 0).length, 67);
    assert.ok(widths.includes(120) && widths.includes(96));
    await warm.context.close();
    await cold.context.close();
  } finally {
    demo.stop();
  }
});
