// The page of faces in a real browser: drawn once through the proxy, then drawn again without
// one more call to Graph.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, startDemo } from './support.mjs';

let demo;
let browser;

before(async () => {
  demo = await startDemo();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  demo?.stop();
});

const figures = async () => (await fetch(new URL('/figures', demo.page))).json();

async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const mistakes = [];
  page.on('pageerror', (error) => mistakes.push(String(error)));
  await page.goto(demo.page);
  await drawn(page);
  return { page, context, mistakes };
}

async function drawn(page) {
  await page.waitForFunction(() => document.body.dataset.ready === 'true', null, { timeout: 60_000 });
}

/** Presses a button and waits until the page has been drawn anew: what it was before does not count. */
async function press(page, button) {
  await page.evaluate(() => { delete document.body.dataset.ready; });
  await page.click(button);
  await drawn(page);
}

const faces = (page) => page.$$eval('.face', (all) => all.map((face) => ({
  state: face.dataset.state,
  from: face.dataset.from,
  width: face.querySelector('img')?.naturalWidth ?? 0,
})));

test('the page shows real pictures, and initials where there is no photo', async () => {
  const { page, context, mistakes } = await open();
  const drawnFaces = await faces(page);
  const pictures = drawnFaces.filter((face) => face.state === 'photo');
  const initials = drawnFaces.filter((face) => face.state === 'initials');
  assert.ok(pictures.length >= 30, `${pictures.length} pictures`);
  assert.ok(initials.length >= 10, `${initials.length} initials`);
  assert.equal(pictures.length + initials.length, drawnFaces.length);
  assert.deepEqual([...new Set(pictures.map((face) => face.width))], [96]);
  assert.deepEqual(mistakes, []);
  await context.close();
});

test('a second visit, by another browser of the same person, costs Graph nothing', async () => {
  const before = await figures();
  const { page, context } = await open();
  assert.ok((await faces(page)).every((face) => face.from === 'memory'));
  assert.equal((await figures()).photo_calls, before.photo_calls);
  await page.reload();
  await drawn(page);
  await press(page, '#reload');
  assert.equal((await figures()).photo_calls, before.photo_calls);
  await context.close();
});

test('another person pays a verification for each face, and no download', async () => {
  const before = await figures();
  const { page, context } = await open();
  await press(page, '#switch');
  const after = await figures();
  assert.ok(after.photo_calls > before.photo_calls);
  assert.equal(after.downloads, before.downloads);
  await context.close();
});

test('while Graph throttles, every face that is held is shown', async () => {
  const { page, context } = await open();
  await page.click('#throttle');
  await press(page, '#reload');
  assert.ok((await faces(page)).every((face) => face.state === 'photo' || face.state === 'initials'));
  await context.close();
});

test('the page fits a phone', async () => {
  const { page, context } = await open({ viewport: { width: 390, height: 844 } });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${overflow} px too wide`);
  await context.close();
});
