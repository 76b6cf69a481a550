// Takes the README's pictures of the dashboard anew, into docs/screenshots. Not a test: call it.
//
//   cargo build && cargo build --release && cd tests/browser && npm install
//   node screenshots.mjs ../../target/release/graph-photo-proxy [SECONDS]
//
// The demo's Graph and its people, and before them the real binary with a certificate, under the
// traffic of two viewers: mornings, a lull, and a page that many open at once. Twice Graph says wait;
// at the end it does so again while it fails for groups, so that clocks and breaker are in the pictures.
import { execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { launch, startDemo } from './support.mjs';

const [binary, seconds] = process.argv.slice(2);
const SECONDS = Number(seconds ?? 330);
const SIZES = ['48x48', '96x96', '240x240'];
const pictures = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const later = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

const demo = await startDemo();
const failing = await startFailing(new URL(demo.graph));
const place = mkdtempSync(join(tmpdir(), 'screenshots-'));
const proxy = await startProxy();
try {
  const traffic = drive();
  await later(SECONDS * 0.3);
  await throttle();
  await later(SECONDS * 0.35);
  await throttle();
  await later(SECONDS * 0.35);
  failing.groups = true;
  await later(17); // the breaker's pauses grow
  await throttle();
  await later(1.5);
  await takeAll();
  traffic.stop = true;
} finally {
  proxy.child.kill('SIGTERM');
  failing.server.close();
  failing.server.closeAllConnections();
  demo.stop();
  rmSync(place, { recursive: true });
}

async function takeAll() {
  const browser = await launch();
  for (const [name, width, height, scheme] of [['light', 1240, 900, 'light'], ['dark', 1240, 900, 'dark'], ['phone', 390, 844, 'light']]) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
    await page.goto(proxy.admin);
    await page.waitForSelector('.budgets .closed');
    await later(1.2); // two readings, so that a clock has moved
    await page.screenshot({ path: join(pictures, `dashboard-${name}.png`), fullPage: true });
  }
  await browser.close();
}

/** Hands everything to the demo's Graph, and can fail for groups in its place. */
async function startFailing(graph) {
  const failing = { groups: false };
  failing.server = createServer((asked, answer) => {
    if (failing.groups && asked.url.includes('/groups/')) {
      answer.writeHead(503).end();
      return;
    }
    const headers = { ...asked.headers, host: graph.host };
    const onward = request({ host: graph.hostname, port: graph.port, method: asked.method, path: asked.url, headers }, (told) => {
      answer.writeHead(told.statusCode, told.headers);
      told.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    asked.pipe(onward);
  }).listen(0, '127.0.0.1');
  await new Promise((done) => failing.server.once('listening', done));
  failing.url = `http://127.0.0.1:${failing.server.address().port}`;
  return failing;
}

/** The real binary, with a certificate for 90 days. */
async function startProxy() {
  const [cert, key] = [join(place, 'cert.pem'), join(place, 'key.pem')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '90',
    '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const child = spawn(binary, ['--listen=127.0.0.1:0', '--admin=127.0.0.1:0', '--tls-listen=127.0.0.1:0', `--tls-cert=${cert}`,
    `--tls-key=${key}`, `--upstream=${failing.url}`, '--cache-memory=8MiB', '--photo-ttl=3m', '--absent-ttl=2m'],
  { stdio: ['ignore', 'pipe', 'ignore'] });
  const addresses = { child };
  for await (const line of createInterface({ input: child.stdout })) {
    const [name, address] = line.split(' ');
    addresses[name] = address;
    if (name === 'admin') return addresses;
  }
  throw new Error('the proxy did not start');
}

async function throttle() {
  await fetch(new URL('/throttle', demo.page), { method: 'POST' });
}

/** Two viewers look at faces, some days more than others, until told to stop. */
function drive() {
  const traffic = { stop: false, asked: 0 };
  (async () => {
    const people = await (await fetch(new URL('/people?count=120', demo.page))).json();
    const tokens = await Promise.all([0, 1].map(async (viewer) => (await (await fetch(new URL(`/session?viewer=${viewer}`, demo.page))).json()).token));
    const began = Date.now();
    const ask = async (path, token) => {
      const answer = await fetch(`${proxy.listen}/v1.0/${path}`, { headers: { authorization: `Bearer ${token}` } });
      await answer.arrayBuffer();
    };
    while (!traffic.stop) {
      const at = (Date.now() - began) / 1000;
      const busy = at < 40 ? at / 20 : 9 + 6 * Math.sin(at / 19) + 3 * Math.sin(at / 4.3) + (at % 120 > 95 ? 24 : 0);
      for (let n = 0; n < busy; n += 1) {
        // Most look at the same few people.
        const person = people[Math.floor(people.length * Math.random() ** 3)];
        const size = SIZES[Math.floor(SIZES.length * Math.random())];
        ask(`users/${person.id}/photos/${size}/$value`, tokens[Math.random() < 0.8 ? 0 : 1]).catch(() => {});
      }
      // Groups that nobody has asked for yet.
      if (Math.random() < 0.3 || failing.groups) ask(`groups/${randomUUID()}/photo/$value`, tokens[0]).catch(() => {});
      if (Math.random() < 0.2) ask('me', tokens[0]).catch(() => {});
      await later(0.25);
    }
  })();
  return traffic;
}
