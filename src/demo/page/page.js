// The faces, fetched the way "Get profilePhoto" shows: the bytes with a bearer token, then
// createObjectURL. Everything shown beside them is measured here or counted by the simulator.
'use strict';

const at = (id) => document.getElementById(id);
const faces = new Map();
const times = { hit: [], graph: [] };
const counts = { requests: 0, hits: 0 };
let session = { token: '', proxy: '', viewer: 0 };
let callsBefore = null;

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : null;
};
const initials = (name) => name.split(' ').map((word) => word[0]).slice(0, 2).join('');
const hue = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
const shown = (time) => (time === null ? '–' : time < 10 ? `${time.toFixed(1)} ms` : `${Math.round(time)} ms`);
const pause = (time) => new Promise((done) => setTimeout(done, time));
const say = (text) => { at('said').textContent = text; };

/** How many requests a browser has under way to one origin; more would wait in it, unseen. */
const AT_ONCE = 6;

/** Asks Graph, through the proxy. */
const graph = (path, options = {}) => fetch(`${session.proxy}/v1.0${path}`, {
  cache: 'no-store', // the browser's own cache would hide the proxy's
  ...options,
  headers: { Authorization: `Bearer ${session.token}`, ...options.headers },
});

/** Whether the answer came from the proxy's memory: it says so, or it was far too quick for Graph. */
function fromMemory(response, time) {
  const status = response.headers.get('cache-status');
  return status === null ? time < 60 : /;\s*hit\b/.test(status);
}

/** One photo, timed and counted. */
async function photo(path) {
  const start = performance.now();
  const response = await graph(path);
  const image = response.ok ? await response.blob() : await response.text().then(() => null);
  const time = performance.now() - start;
  counts.requests += 1;
  if (response.ok || response.status === 404) {
    const hit = fromMemory(response, time);
    counts.hits += hit ? 1 : 0;
    (hit ? times.hit : times.graph).push(time);
    return { state: response.ok ? 'photo' : 'initials', image, time, from: hit ? 'memory' : 'graph' };
  }
  const wait = Number(response.headers.get('retry-after')) || 1;
  return { state: response.status === 429 ? 'busy' : 'initials', image: null, time, wait, from: 'nowhere' };
}

/** Draws what came of one face. */
function draw(face, got) {
  face.element.dataset.state = got.state;
  face.element.dataset.from = got.from;
  face.got = got;
  if (got.state === 'busy' && face.url) { return; }
  if (face.url) { URL.revokeObjectURL(face.url); face.url = null; }
  if (got.image) {
    const url = window.URL || window.webkitURL;
    face.url = url.createObjectURL(got.image);
    const picture = new Image();
    picture.alt = face.person.name;
    picture.setAttribute('src', face.url);
    face.disc.replaceChildren(picture);
  } else {
    const letters = document.createElement('span');
    letters.className = 'initials';
    letters.textContent = initials(face.person.name);
    face.disc.replaceChildren(letters);
  }
}

/** One face. */
async function load(face) {
  const failed = () => ({ state: 'initials', image: null, from: 'nowhere' });
  draw(face, await photo(`/users/${face.person.id}/photos/96x96/$value`).catch(failed));
}

/** Many faces, a few at once; those that Graph had no time for wait, and are asked again. */
async function loadThese(these, rounds = 4) {
  const queue = [...these]; // a queue of our own, or the times would be those of the browser's
  const lane = async () => {
    for (let face = queue.shift(); face; face = queue.shift()) { await load(face); }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  const busy = these.filter((face) => face.got.state === 'busy');
  if (busy.length === 0 || rounds === 0) { return; }
  await pause(Math.max(...busy.map((face) => face.got.wait)) * 1000 + 200);
  await loadThese(busy, rounds - 1);
}

async function loadAll() {
  document.body.dataset.ready = 'false';
  const start = performance.now();
  const before = { ...counts };
  for (const face of faces.values()) {
    if (!face.url) { face.element.dataset.state = 'loading'; }
    delete face.element.dataset.from;
  }
  await loadThese([...faces.values()]);
  await figures();
  const took = (performance.now() - start) / 1000;
  say(`${counts.requests - before.requests} requests, ${counts.hits - before.hits} from memory, in ${took.toFixed(took < 1 ? 2 : 1)} s.`);
  document.body.dataset.ready = 'true';
}

/** The figures: those measured here, and the simulator's own count. */
async function figures() {
  const now = await (await fetch('/figures', { cache: 'no-store' })).json();
  callsBefore ??= now.photo_calls;
  const calls = now.photo_calls - callsBefore;
  const saved = Math.max(0, counts.requests - calls);
  at('requests').textContent = counts.requests;
  at('hits').textContent = counts.hits;
  at('graph-calls').textContent = calls;
  at('saved').textContent = saved;
  at('saved-share').style.width = `${counts.requests ? (100 * saved) / counts.requests : 0}%`;
  const [hit, far] = [median(times.hit), median(times.graph)];
  const longest = Math.max(hit ?? 0, far ?? 0, 1);
  at('hit-time').textContent = shown(hit);
  at('graph-time').textContent = shown(far);
  at('hit-bar').style.width = `${(100 * (hit ?? 0)) / longest}%`;
  at('graph-bar').style.width = `${(100 * (far ?? 0)) / longest}%`;
}

/** A picture made on the spot; the simulator, as Graph does, keeps its own rendering. */
async function fresh() {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 648;
  const pen = canvas.getContext('2d');
  pen.fillStyle = `hsl(${Math.floor(Math.random() * 360)} 50% 60%)`;
  pen.fillRect(0, 0, 648, 648);
  return new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.9));
}

async function upload(face) {
  say(`Uploading a photo for ${face.person.name}…`);
  const response = await graph(`/users/${face.person.id}/photo/$value`, {
    method: 'PUT', headers: { 'Content-Type': 'image/jpeg' }, body: await fresh(),
  });
  counts.requests += 1;
  if (!response.ok) { say(`Graph answered ${response.status} to the upload.`); return; }
  await load(face);
  await figures();
  say(`${face.person.name} has a new photo, and everybody sees it at once.`);
}

async function open(face) {
  const card = at('card');
  card.dataset.person = face.person.id;
  at('card-name').textContent = face.person.name;
  at('card-job').textContent = face.person.job;
  at('card-facts').textContent = '…';
  at('card-photo').hidden = true;
  at('card-initials').hidden = false;
  at('card-initials').style.setProperty('--hue', hue(face.person.id));
  at('card-initials').textContent = initials(face.person.name);
  if (!card.open) { card.showModal(); }
  const got = await photo(`/users/${face.person.id}/photo/$value`);
  if (card.dataset.person !== face.person.id) { return; }
  if (got.image) {
    if (card.dataset.url) { URL.revokeObjectURL(card.dataset.url); }
    card.dataset.url = URL.createObjectURL(got.image);
    at('card-photo').src = card.dataset.url;
    await at('card-photo').decode().catch(() => {});
    at('card-photo').hidden = false;
    at('card-initials').hidden = true;
  }
  const picture = at('card-photo');
  const what = got.image ? `${picture.naturalWidth} × ${picture.naturalHeight}, ${Math.ceil(got.image.size / 1024)} KB` : 'no photo';
  at('card-facts').textContent = `${what} · ${got.from === 'memory' ? 'from memory' : 'from Graph'} in ${shown(got.time)}`;
  await figures();
}

async function signIn(viewer) {
  session = await (await fetch(`/session?viewer=${viewer}`, { cache: 'no-store' })).json();
  at('viewer').textContent = session.name;
  at('proxy').textContent = session.proxy.replace(/^https?:\/\//, '');
}

function place(person) {
  const element = document.createElement('button');
  element.className = 'face';
  element.dataset.person = person.id;
  element.dataset.state = 'loading';
  element.style.setProperty('--hue', hue(person.id));
  const disc = document.createElement('span');
  disc.className = 'disc';
  const letters = document.createElement('span');
  letters.className = 'initials';
  disc.append(letters);
  const name = document.createElement('b');
  name.textContent = person.name;
  const job = document.createElement('small');
  job.textContent = person.job;
  element.append(disc, name, job);
  const face = { person, element, disc, url: null, got: null };
  element.addEventListener('click', () => open(face));
  faces.set(person.id, face);
  at('faces').append(element);
}

/** Runs what a button does, and keeps the button still meanwhile. */
function button(id, action) {
  at(id).addEventListener('click', async () => {
    at(id).disabled = true;
    await Promise.resolve(action()).catch((error) => say(`That did not work: ${error.message}`));
    at(id).disabled = false;
  });
}

button('reload', loadAll);
button('switch', async () => {
  await signIn(session.viewer === 0 ? 1 : 0);
  say(`Signed in as ${session.name}: every photo is checked with Graph once for the new viewer.`);
  await loadAll();
});
button('upload', () => {
  const all = [...faces.values()];
  return upload(all[Math.floor(Math.random() * Math.min(all.length, 24))]);
});
button('card-upload', async () => {
  const face = faces.get(at('card').dataset.person);
  await upload(face);
  await open(face);
});
button('throttle', async () => {
  await fetch('/throttle', { method: 'POST' });
  for (let left = 20; left > 0; left -= 1) {
    say(`Graph answers 429 for another ${left} s. Reload the faces: those we hold still show.`);
    await pause(1000);
  }
  say('Graph answers again.');
});

(async () => {
  await signIn(0);
  await figures();
  for (const person of await (await fetch('/people')).json()) { place(person); }
  const look = () => figures().catch(() => say('The demo has ended.'));
  const watch = setInterval(look, 700);
  await loadAll();
  clearInterval(watch);
  setInterval(look, 2000);
})().catch((error) => say(`The page could not start: ${error.message}`));
