// A Graph of one page's size for trying <graph-photo>: it serves the element, and answers `$batch`
// as each test says, when the test says so.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';

const element = new URL('../../deploy/graph-photo.js', import.meta.url);
const POLICY = "default-src 'none'; script-src 'self'; img-src blob:; connect-src 'self'";

/** A picture whose width says whose it is. */
export const picture = (width) => ({
  status: 200,
  headers: { 'Content-Type': 'image/svg+xml' },
  body: Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${width}"><rect width="100%" height="100%" fill="teal"/></svg>`).toString('base64'),
});
export const missing = { status: 404, headers: {}, body: { error: { code: 'ImageNotFound' } } };
export const busy = (wait) => ({ status: 429, headers: { 'Retry-After': String(wait) }, body: {} });

/** Starts it. `stage.part(url, token)` answers one part, `stage.whole(batch)` a whole request; both may wait. */
export async function startStage() {
  const stage = { batches: [], seen: [], gone: 0, whole: null, part: () => missing };
  const server = createServer(async (request, response) => {
    stage.seen.push({ method: request.method, path: request.url, token: request.headers.authorization ?? null });
    if (request.url === '/graph-photo.js') {
      response.setHeader('Content-Type', 'text/javascript');
      response.end(await readFile(element));
      return;
    }
    if (request.url !== '/v1.0/$batch') {
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.setHeader('Content-Security-Policy', POLICY);
      response.end('<!doctype html><meta name="color-scheme" content="light dark"><title>a stage</title><body></body>');
      return;
    }
    response.on('close', () => { stage.gone += response.writableFinished ? 0 : 1; });
    let text = '';
    for await (const chunk of request) { text += chunk; }
    const batch = { token: request.headers.authorization, urls: JSON.parse(text).requests.map((one) => one.url) };
    stage.batches.push(batch);
    const whole = await stage.whole?.(batch);
    if (whole) {
      response.writeHead(whole.status, whole.headers ?? {});
      response.end(whole.body ?? '{}');
      return;
    }
    const responses = await Promise.all(JSON.parse(text).requests.map(async ({ id, url }) => ({ id, ...await stage.part(url, batch.token) })));
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ responses: responses.reverse() }));
  }).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  stage.origin = `http://127.0.0.1:${server.address().port}`;
  stage.stop = () => { server.close(); server.closeAllConnections(); };
  return stage;
}

/** Something that a test lets happen: `await gate.open` waits until `gate.let()`. */
export function gate() {
  let open;
  const opened = new Promise((done) => { open = done; });
  return { open: opened, let: open };
}
