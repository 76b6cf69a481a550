// A page as somebody would write it who uses <graph-photo>: it says once where the photos are and
// who gives the token, and places elements.
import { forget, setTokenProvider } from './graph-photo.js';

const at = (id) => document.getElementById(id);
const figures = async () => (await fetch('/figures', { cache: 'no-store' })).json();
let viewer = 0;
let before = 0;
let batches = 0;
let beginning = false;

// What is counted here is what the browser itself says it has asked for.
new PerformanceObserver((list) => {
  batches += list.getEntries().filter((entry) => entry.name.endsWith('/$batch')).length;
}).observe({ type: 'resource', buffered: true });

/** Starts counting anew, then does what makes the faces ask. */
async function begin(action) {
  beginning = true;
  document.body.dataset.ready = 'false';
  before = (await figures()).photo_calls;
  batches = 0;
  action();
  beginning = false;
}

async function signIn() {
  const session = () => fetch(`/session?viewer=${viewer}`, { cache: 'no-store' }).then((answer) => answer.json());
  const { name, proxy } = await session();
  at('viewer').textContent = name;
  await begin(() => setTokenProvider(async () => (await session()).token, proxy));
}

/** Waits until each face is settled, and tells what it took. */
async function count() {
  const all = [...document.querySelectorAll('graph-photo')];
  const number = (state) => all.filter((one) => one.state === state).length;
  at('photos').textContent = number('photo');
  at('initials').textContent = number('initials');
  at('batches').textContent = batches;
  at('graph-calls').textContent = (await figures()).photo_calls - before;
  if (!beginning && all.length > 0 && number('loading') === 0) { document.body.dataset.ready = 'true'; }
}

function place({ id, name, job }) {
  const face = document.createElement('div');
  face.className = 'face';
  const photo = document.createElement('graph-photo');
  photo.setAttribute('user-id', id);
  photo.setAttribute('name', name);
  photo.setAttribute('loading', 'eager');
  const label = document.createElement('b');
  label.textContent = name;
  const line = document.createElement('small');
  line.textContent = job;
  face.append(photo, label, line);
  at('faces').append(face);
}

at('again').addEventListener('click', () => begin(forget));
at('larger').addEventListener('click', () => begin(() => {
  at('faces').classList.toggle('large');
  forget();
}));
at('switch').addEventListener('click', async () => {
  viewer = viewer === 0 ? 1 : 0;
  await signIn();
});

for (const person of await (await fetch('/people?count=100')).json()) { place(person); }
await signIn();
setInterval(() => count().catch(() => { at('said').textContent = 'The demo has ended.'; }), 200);
