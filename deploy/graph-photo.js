// <graph-photo>: a person's photo, fetched through graph-photo-proxy, with initials while it loads
// and where there is none. One module: no build step, no dependency.
//
//   import { setTokenProvider } from './graph-photo.js';
//   setTokenProvider(async ({ renew }) => token, 'https://photos.example.com');
//
//   <graph-photo user-id="ada@contoso.com" name="Ada Lovelace"></graph-photo>
//
// The faces that come into view together are asked for together, 20 in one `$batch`. The page holds
// one picture per person and size. A token is given only to an address that setTokenProvider was
// told; an attribute cannot name another. docs/leaving-graph-toolkit.md has the attributes,
// events, parts and custom properties.

/** The sides Graph has, in pixels ("Get profilePhoto"). */
const SIDES = [48, 64, 96, 120, 240, 360, 432, 504, 648];
/** Instead of a side: the largest photo there is. */
const LARGEST = 0;
/** Above this side "not found" may mean "not that large": then the largest is asked for, once. */
const COMMON_SIDE = 96;
/** The most requests that Graph takes in one batch. */
const BATCH = 20;
/** How long a picture that nobody shows is kept, in ms: lists are scrolled, elements are moved. */
const LINGER = 10_000;
/** The longest wait that is waited, and the one where none is told, in s. */
const LONGEST_WAIT = 300;
const USUAL_WAIT = 5;

/** Where photos may be asked for, by address; and the one for elements that name none. */
const places = new Map();
let usual = null;
/** Every <graph-photo> in the document. */
const elements = new Set();

/**
 * Says where to ask and who gives the token. `provider({ renew })` gives an access token, or a promise
 * of one; `renew` is true after the last one was refused with 401. Called again, for another
 * person or another address, it lets go of every picture.
 */
export function setTokenProvider(provider, baseUrl = location.origin) {
  const base = address(baseUrl);
  if (base === null) { throw new TypeError(`not an address to send a token to: ${baseUrl}`); }
  usual = new Place(base, provider);
  places.get(base)?.leave();
  places.set(base, usual);
  forget();
}

/** Lets go of every picture (when somebody signs out), and asks anew for those that are shown. */
export function forget() {
  for (const place of places.values()) { place.forget(); }
  for (const element of elements) { element.reload(); }
}

/** An address in one spelling; null for one that must not be given a token. */
function address(text) {
  let url;
  try { url = new URL(text, location.href); } catch { return null; }
  const near = url.origin === location.origin || /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && near)) { return null; }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/** One address, its pictures, and those it is about to be asked for. */
class Place {
  #base;
  #provider;
  #pictures = new Map();
  #queue = new Set();
  #sending = false;
  #refused = null;
  #renewal = null;

  constructor(base, provider) {
    this.#base = base;
    this.#provider = provider;
  }

  /** The page's one picture of that owner at that side. */
  picture(owner, side) {
    const key = `${owner.toLowerCase()} ${side}`;
    let picture = this.#pictures.get(key);
    if (!picture) {
      picture = new Picture(owner, side, () => this.#drop(key, picture));
      this.#pictures.set(key, picture);
      this.#ask(picture);
    }
    return picture;
  }

  forget() {
    for (const picture of [...this.#pictures.values()]) { picture.drop(); }
  }

  /** Another provider has taken over: what is under way must not be shown, nor asked again. */
  leave() {
    this.forget();
    this.#provider = null;
  }

  #drop(key, picture) {
    this.#queue.delete(picture);
    if (this.#pictures.get(key) === picture) { this.#pictures.delete(key); }
  }

  #ask(picture) {
    this.#queue.add(picture);
    if (this.#sending) { return; }
    this.#sending = true;
    frame().then(() => {
      this.#sending = false;
      const wanted = [...this.#queue];
      this.#queue.clear();
      if (wanted.length > 0) { this.#askFor(wanted); }
    });
  }

  async #askFor(pictures) {
    let token;
    try { token = await this.#provider?.({ renew: false }); } catch { /* as if there were none */ }
    for (let at = 0; at < pictures.length; at += BATCH) {
      this.#send(pictures.slice(at, at + BATCH), token, false);
    }
  }

  /** One batch. */
  async #send(pictures, token, renewed) {
    const open = pictures.filter((picture) => picture.state === 'loading');
    if (open.length === 0) { return; }
    if (!token) { failed(open, 401, 'there is no token'); return; }
    const control = new AbortController();
    for (const picture of open) {
      picture.left = () => { if (open.every((one) => one.state === 'dropped')) { control.abort(); } };
    }
    let status = 0;
    let parts = null;
    try {
      const answer = await fetch(`${this.#base}/v1.0/$batch`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
        body: JSON.stringify({
          requests: open.map((picture, id) => ({ id: String(id), method: 'GET', url: picture.url })),
        }),
        credentials: 'omit',
        redirect: 'error', // A token does not follow a redirect.
        referrerPolicy: 'no-referrer',
        signal: control.signal,
      });
      status = answer.status;
      if (status === 429 || status === 503) {
        this.#askLater(open, status, answer.headers.get('retry-after'));
        return;
      }
      if (status === 200) { parts = (await answer.json()).responses; }
    } catch { /* No answer, or not one of Graph's. */ }
    if (status === 401 && !renewed) { this.#renew(open, token); return; }
    if (!Array.isArray(parts)) { failed(open, status, 'there was no answer'); return; }
    const byId = new Map(parts.map((part) => [part?.id, part]));
    const refused = [];
    open.forEach((picture, id) => {
      const part = byId.get(String(id));
      if (part?.status === 401 && !renewed) { refused.push(picture); } else { this.#settle(picture, part); }
    });
    if (refused.length > 0) { this.#renew(refused, token); }
  }

  /** What one part of the answer says of one picture. */
  #settle(picture, part) {
    const status = part?.status ?? 0;
    const type = field(part, 'content-type') ?? '';
    if (status === 200 && typeof part.body === 'string' && /^image\//i.test(type)) {
      picture.arrived(part.body, type);
    } else if (status === 404 && picture.side > COMMON_SIDE) {
      picture.side = LARGEST;
      this.#ask(picture);
    } else if (status === 429 || status === 503) {
      this.#askLater([picture], status, field(part, 'retry-after'));
    } else {
      failed([picture], status, status === 404 ? 'there is no photo' : 'the photo was refused');
    }
  }

  /** Once, when Graph's wait is over; the initials stay meanwhile. */
  #askLater(pictures, status, told) {
    const date = (Date.parse(told ?? '') - Date.now()) / 1000;
    const wait = [Number.parseFloat(told ?? ''), date, USUAL_WAIT].find(Number.isFinite);
    const patient = pictures.filter((picture) => !picture.waited && wait <= LONGEST_WAIT);
    failed(pictures.filter((picture) => !patient.includes(picture)), status, 'Graph says wait');
    for (const picture of patient) { picture.waited = true; }
    setTimeout(() => {
      for (const picture of patient) { if (picture.state === 'loading') { this.#ask(picture); } }
    }, Math.max(0, wait) * 1000);
  }

  /** Once, with another token; one renewal serves all batches that were refused with this one. */
  async #renew(pictures, token) {
    if (this.#refused !== token) {
      this.#refused = token;
      this.#renewal = Promise.resolve().then(() => this.#provider?.({ renew: true })).catch(() => null);
    }
    this.#send(pictures, await this.#renewal, true);
  }
}

/** One picture, for all elements that show it. */
class Picture {
  state = 'loading'; // then photo, failed, or dropped
  waited = false;
  left = null;
  source = null;
  why = null;
  #watchers = new Set();
  #forgotten;

  constructor(owner, side, forgotten) {
    this.owner = owner;
    this.side = side;
    this.#forgotten = forgotten;
  }

  get url() {
    return this.side === LARGEST
      ? `/${this.owner}/photo/$value`
      : `/${this.owner}/photos/${this.side}x${this.side}/$value`;
  }

  watch(watcher) {
    this.#watchers.add(watcher);
    if (this.state !== 'loading') { queueMicrotask(() => this.#watchers.has(watcher) && watcher(this)); }
  }

  /** Nobody shows it any more: kept for a moment if it is an answer, and not asked for if not. */
  unwatch(watcher) {
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) { return; }
    if (this.state !== 'photo' && this.why?.status !== 404) { this.drop(); return; }
    setTimeout(() => { if (this.#watchers.size === 0) { this.drop(); } }, LINGER);
  }

  drop() {
    this.state = 'dropped';
    if (this.source) { URL.revokeObjectURL(this.source); }
    this.source = null;
    this.#forgotten();
    this.left?.();
  }

  arrived(base64, type) {
    if (this.state !== 'loading') { return; }
    try {
      const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      this.source = URL.createObjectURL(new Blob([bytes], { type }));
    } catch {
      failed([this], 200, 'the photo could not be read');
      return;
    }
    this.#settled('photo');
  }

  failed(status, reason) {
    if (this.state !== 'loading') { return; }
    this.why = { status, reason };
    this.#settled('failed');
  }

  #settled(state) {
    this.state = state;
    for (const watcher of [...this.#watchers]) { watcher(this); }
  }
}

const failed = (pictures, status, reason) => pictures.forEach((picture) => picture.failed(status, reason));

/** The next frame, or soon where no frames are drawn. */
const frame = () => new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 100); });

/** A field of a part's answer; their names keep whatever case Graph gave them. */
function field(part, wanted) {
  const found = Object.entries(part?.headers ?? {}).find(([name]) => name.toLowerCase() === wanted);
  return found ? String(found[1]) : null;
}

/** The smallest of Graph's sides that is sharp at that width. */
function sideFor(width) {
  const pixels = Math.ceil((width || 48) * (window.devicePixelRatio || 1));
  return SIDES.find((side) => side >= pixels) ?? LARGEST;
}

/** The first letters of the first and the last word of a name, or of what stands before an @. */
function initials(text) {
  const bare = text.includes('@') ? text.split('@')[0].replace(/[._-]+/g, ' ') : text.replace(/[([].*/, '');
  const words = bare.split(/\s+/).map((word) => word.replace(/^[^\p{L}\p{N}]+/u, '')).filter(Boolean);
  const ends = words.length > 1 ? [words[0], words.at(-1)] : words;
  const first = (word) => new Intl.Segmenter().segment(word)[Symbol.iterator]().next().value.segment;
  return ends.map((word) => first(word).toLocaleUpperCase()).join('');
}

/** A colour that is the same for the same person everywhere. */
const hue = (text) => [...text.toLowerCase()].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 3600, 7) % 360;

/** A sheet of styles; such a sheet needs no `unsafe-inline` in a content security policy. */
function sheet(text) {
  const made = new CSSStyleSheet();
  made.replaceSync(text);
  return made;
}

const STYLE = sheet(`
  :host { display: inline-block; inline-size: var(--graph-photo-size, 48px); aspect-ratio: 1; vertical-align: middle; container-type: inline-size; }
  :host([hidden]) { display: none; }
  [part~=disc] {
    display: grid; inline-size: 100%; block-size: 100%; overflow: hidden; box-sizing: border-box;
    border: var(--graph-photo-border, 0); border-radius: var(--graph-photo-radius, 50%);
    background: var(--graph-photo-initials-background, hsl(var(--hue) 45% 88%));
    color: var(--graph-photo-initials-color, hsl(var(--hue) 60% 17%));
  }
  @supports (color: light-dark(red, red)) {
    [part~=disc] {
      background: var(--graph-photo-initials-background, light-dark(hsl(var(--hue) 45% 88%), hsl(var(--hue) 35% 21%)));
      color: var(--graph-photo-initials-color, light-dark(hsl(var(--hue) 60% 17%), hsl(var(--hue) 55% 88%)));
    }
  }
  [part~=disc] > * { grid-area: 1 / 1; min-inline-size: 0; min-block-size: 0; }
  [part~=initials] { place-self: center; font: var(--graph-photo-font, 600 38cqi/1 system-ui, sans-serif); user-select: none; }
  [part~=icon] { inline-size: 60%; block-size: 60%; place-self: center; fill: currentColor; }
  [part~=image] { display: block; inline-size: 100%; block-size: 100%; object-fit: cover; }
  @media (prefers-reduced-motion: no-preference) {
    [part~=image] { animation: shown 150ms ease-out; }
    @keyframes shown { from { opacity: 0; } }
  }
  @media (forced-colors: active) { [part~=disc] { outline: 1px solid CanvasText; outline-offset: -1px; } }
`);
const sizes = new Map();

/** Somebody without a name. */
function icon() {
  const svg = 'http://www.w3.org/2000/svg';
  const drawn = document.createElementNS(svg, 'svg');
  const shape = document.createElementNS(svg, 'path');
  drawn.setAttribute('viewBox', '0 0 16 16');
  drawn.setAttribute('part', 'icon');
  shape.setAttribute('d', 'M8 8a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6.5 7c0-3.4 2.9-5.5 6.5-5.5s6.5 2.1 6.5 5.5Z');
  drawn.append(shape);
  return drawn;
}

/** What decides whose photo is asked for, where and whether; the rest only changes how it looks. */
const IDENTITY = ['user-id', 'person-query', 'group-id', 'team-id', 'base-url', 'avatar-type', 'disable-image-fetch', 'loading', 'size'];

/** The element. */
export class GraphPhoto extends HTMLElement {
  static observedAttributes = [...IDENTITY, 'name', 'alt'];

  static #inView = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target, boundingClientRect } of entries) {
      if (isIntersecting) { target.#start(boundingClientRect.width); }
    }
  }, { rootMargin: '200px' });

  #internals = this.attachInternals();
  #disc = document.createElement('span');
  #picture = null;
  #state = 'initials';
  #told = (picture) => this.#settled(picture);

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [STYLE];
    this.#disc.setAttribute('part', 'disc');
    this.#disc.setAttribute('aria-hidden', 'true');
    root.append(this.#disc);
  }

  /** What is shown: `loading` (initials, for now), `photo`, or `initials`. */
  get state() { return this.#state; }

  connectedCallback() {
    elements.add(this);
    this.#label();
    if (!this.#picture) { this.reload(); }
  }

  disconnectedCallback() {
    // Moved within the page, it is back before this runs.
    queueMicrotask(() => {
      if (this.isConnected) { return; }
      elements.delete(this);
      GraphPhoto.#inView.unobserve(this);
      this.#release();
    });
  }

  attributeChangedCallback(name, before, now) {
    if (!this.isConnected || before === now) { return; }
    this.#label();
    if (IDENTITY.includes(name)) { this.reload(); } else if (this.#state !== 'photo') { this.#letters(); }
  }

  /** Lets go of the picture and asks anew; until the answer there are initials. */
  reload() {
    this.#release();
    this.#letters();
    this.#resize();
    GraphPhoto.#inView.unobserve(this);
    if (!this.#wanted()) { this.#state = 'initials'; return; }
    this.#state = 'loading';
    if (this.getAttribute('loading') === 'eager') {
      this.#start(this.getBoundingClientRect().width);
    } else {
      GraphPhoto.#inView.observe(this);
    }
  }

  /** Whose photo it is, as a path; null if nobody's. */
  #owner() {
    const path = (kind, id) => `${kind}/${encodeURIComponent(id).replaceAll('%40', '@')}`;
    const [user, group, team] = ['user-id', 'group-id', 'team-id'].map((name) => this.getAttribute(name)?.trim());
    if (user) { return user.toLowerCase() === 'me' ? 'me' : path('users', user); }
    if (this.getAttribute('person-query')?.trim().toLowerCase() === 'me') { return 'me'; }
    if (group) { return path('groups', group); }
    return team ? path('teams', team) : null;
  }

  #wanted() {
    return this.#owner() !== null && !this.hasAttribute('disable-image-fetch')
      && this.getAttribute('avatar-type')?.toLowerCase() !== 'initials';
  }

  #place() {
    const named = this.getAttribute('base-url');
    return named === null ? usual : places.get(address(named)) ?? null;
  }

  #start(width) {
    GraphPhoto.#inView.unobserve(this);
    const owner = this.#owner();
    const place = this.#place();
    if (!this.isConnected || this.#picture || owner === null) { return; }
    if (!place) {
      // Without a provider yet, it begins when there is one. An address nobody vouched for is not asked.
      if (usual) { this.#state = 'initials'; this.#say('graph-photo-error', { status: 0, reason: 'base-url is not an address that setTokenProvider was told' }); }
      return;
    }
    this.#picture = place.picture(owner, owner.startsWith('teams/') ? LARGEST : sideFor(width));
    this.#picture.watch(this.#told);
  }

  #release() {
    const picture = this.#picture;
    this.#picture = null;
    picture?.unwatch(this.#told);
  }

  /** An answer; it may come for a picture that this element has let go of. */
  async #settled(picture) {
    if (picture !== this.#picture || picture.state === 'dropped') { return; }
    if (picture.state !== 'photo') {
      this.#state = 'initials';
      this.#say('graph-photo-error', picture.why);
      return;
    }
    const image = new Image();
    image.alt = '';
    image.setAttribute('part', 'image');
    image.src = picture.source;
    const good = await image.decode().then(() => true, () => false);
    if (picture !== this.#picture || picture.state === 'dropped') { return; }
    if (good) {
      this.#disc.replaceChildren(image);
      this.#state = 'photo';
      this.#say('graph-photo-load', { width: image.naturalWidth, height: image.naturalHeight });
    } else {
      this.#state = 'initials';
      this.#say('graph-photo-error', { status: 200, reason: 'the photo could not be read' });
    }
  }

  /** The initials, or a figure for somebody without a name. Text only, never markup. */
  #letters() {
    const user = this.getAttribute('user-id') ?? '';
    const text = initials(this.getAttribute('name') || (user.includes('@') ? user : ''));
    this.#disc.style.setProperty('--hue', hue(this.#owner() ?? text));
    if (text === '') { this.#disc.replaceChildren(icon()); return; }
    const letters = document.createElement('span');
    letters.setAttribute('part', 'initials');
    letters.textContent = text;
    this.#disc.replaceChildren(letters);
  }

  /** What a screen reader says: `alt`, else the name; nothing at all for `alt=""`. */
  #label() {
    const alt = this.getAttribute('alt');
    this.#internals.role = alt === '' ? 'none' : 'img';
    this.#internals.ariaLabel = alt === '' ? null : alt ?? (this.getAttribute('name') || 'Profile photo');
  }

  #resize() {
    const size = Number.parseFloat(this.getAttribute('size') ?? '');
    if (!(size > 0)) { this.shadowRoot.adoptedStyleSheets = [STYLE]; return; }
    if (!sizes.has(size)) { sizes.set(size, sheet(`:host { inline-size: ${size}px; }`)); }
    this.shadowRoot.adoptedStyleSheets = [STYLE, sizes.get(size)];
  }

  #say(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail }));
  }
}

if (!customElements.get('graph-photo')) { customElements.define('graph-photo', GraphPhoto); }
