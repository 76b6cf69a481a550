// Reads /figures once a second and draws. Whatever comes from outside becomes text, never
// markup: elements are made one by one, and only textContent is set.
"use strict";

const KEPT = 360; // samples, as the proxy keeps them
const STEP = 5; // seconds between two of them
const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

let past = null; // arrays by figure, oldest first
let cursor = {}; // chart id -> index under the pointer or the arrow keys
let token = sessionStorage.getItem("token");
let timer = 0;
let latest = null; // the last answer, to be drawn again when the page changes its width

function html(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function svg(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const count = (n) => Math.round(n).toLocaleString("en");
const percent = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(part / whole > 0.995 && part < whole ? 2 : 1)} %` : "–");
function bytes(n) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
    if (n >= size) return `${(n / size).toFixed(n / size < 10 ? 1 : 0)} ${unit}`;
  }
  return `${n} B`;
}
function time(seconds) {
  if (!(seconds > 0)) return "–";
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}
function long(seconds) {
  const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const from = units.findIndex(([, size]) => seconds >= size);
  return units.slice(from < 0 ? 3 : from, (from < 0 ? 3 : from) + 2)
    .map(([unit, size], at) => `${at === 0 ? Math.floor(seconds / size) : Math.floor((seconds % units[from][1]) / size)} ${unit}`)
    .join(" ");
}

// ---- the charts ------------------------------------------------------------------------------

// A scale's end that people read easily.
function round(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  for (const step of [1, 2, 4, 6, 8, 10]) if (most <= step * power) return step * power;
  return 10 * power;
}

/// Draws series over the last half hour. `log` puts the values on a logarithmic scale.
function chart(id, series, options) {
  const box = $(id);
  const width = box.clientWidth;
  const height = box.clientHeight;
  if (!width || !past) return;
  const left = 44, right = 8, top = 14, bottom = 18;
  const times = past.unix;
  const end = times[times.length - 1];
  const shown = Math.max(120, Math.min(KEPT * STEP, end - times[0]));
  const x = (at) => left + (width - left - right) * (1 - (end - at) / shown);
  const values = series.flatMap((one) => one.values).filter((value) => value !== null && value > 0);
  const most = options.most || (options.log ? Math.max(...values, 0.001) : round(Math.max(...values, 0)));
  const least = options.log ? Math.min(...values, most / 10) : 0;
  const scale = (value) => options.log
    ? Math.log(Math.max(value, least) / least) / Math.log(most / least)
    : value / most;
  const y = (value) => top + (height - top - bottom) * (1 - scale(value));
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const marks = options.log ? powers(least, most) : (options.marks || [0, most / 2, most]);
  for (const mark of marks) {
    picture.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(mark), y2: y(mark) }));
    picture.append(svg("text", { class: "axis", x: left - 6, y: y(mark) + 4, "text-anchor": "end" }, options.unit(mark)));
  }
  const step = [30, 60, 120, 300, 600].find((size) => shown / size <= Math.max(3, width / 110)) || 600;
  for (let ago = 0; ago <= shown; ago += step) {
    const at = x(end - ago);
    if (at > left + 16 || ago === 0) picture.append(svg("text", { class: "axis", x: ago === 0 ? width - right : at, y: height - 3, "text-anchor": ago === 0 ? "end" : "middle" }, ago === 0 ? "now" : `−${ago % 60 ? `${ago} s` : `${ago / 60} min`}`));
  }
  for (const one of series) {
    let path = "", run = [], filled = "";
    const close = () => {
      if (run.length > 1) filled += `M${run[0][0]},${y(least)}L${run.map((p) => p.join(",")).join("L")}L${run[run.length - 1][0]},${y(least)}Z`;
      run = [];
    };
    one.values.forEach((value, index) => {
      if (value === null || (options.log && value <= 0)) return close();
      const point = [x(times[index]).toFixed(1), y(value).toFixed(1)];
      path += (run.length ? "L" : "M") + point.join(",");
      run.push(point);
    });
    close();
    if (one.area) picture.append(svg("path", { class: `area ${one.name}`, d: filled || "M0,0" }));
    picture.append(svg("path", { class: `line ${one.name}`, d: path || "M0,0" }));
  }
  let from = left + 2;
  for (const one of series) {
    const name = svg("text", { class: `name ${one.name}`, x: from, y: 9 }, one.title);
    picture.append(name);
    from += one.title.length * 7.8 + 16;
  }
  const old = box.querySelector("svg");
  if (old) old.replaceWith(picture); else box.append(picture);
  tip(box, id, series, options, x, left, width, top, height - bottom);
  if (!box.dataset.ready) follow(box, id);
  box.setAttribute("aria-label", series.map((one) => `${one.title} now ${options.unit(last(one.values))}`).join(", "));
  box.draw = () => chart(id, series, options);
  box.say = (index) => words(series, options, index).join(", ");
}

const last = (values) => { for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null) return values[i]; return 0; };

function powers(least, most) {
  const marks = [];
  for (let power = Math.ceil(Math.log10(least)); power <= Math.log10(most); power++) marks.push(10 ** power);
  const every = Math.ceil(marks.length / 3);
  return marks.filter((_, index) => index % every === 0);
}

function words(series, options, index) {
  const ago = Math.max(0, Math.round(past.unix[past.unix.length - 1] - past.unix[index]));
  return [ago === 0 ? "now" : `${long(ago)} ago`].concat(series.map((one) => `${one.title} ${one.values[index] === null ? "–" : options.unit(one.values[index])}`));
}

function tip(box, id, series, options, x, left, width, top, foot) {
  let label = box.querySelector(".tip");
  const index = cursor[id];
  if (index === undefined || index >= past.unix.length) { if (label) label.remove(); return; }
  const at = x(past.unix[index]);
  box.querySelector("svg").append(svg("line", { class: "cursor", x1: at, x2: at, y1: top, y2: foot }));
  if (!label) { label = html("div", "tip"); box.append(label); }
  label.textContent = words(series, options, index).join("\n");
  const beside = at > width / 2 ? at - label.offsetWidth - 10 : at + 10;
  label.style.left = `${Math.max(left, beside)}px`;
}

// Pointer and arrow keys move along a chart.
function follow(box, id) {
  box.dataset.ready = "1";
  box.tabIndex = 0;
  box.setAttribute("role", "img");
  const move = (index) => {
    if (index === undefined) delete cursor[id]; else cursor[id] = Math.max(0, Math.min(past.unix.length - 1, index));
    box.draw();
  };
  box.addEventListener("pointermove", (event) => {
    const area = box.getBoundingClientRect();
    const end = past.unix[past.unix.length - 1];
    const shown = Math.max(120, Math.min(KEPT * STEP, end - past.unix[0]));
    const at = end - shown * (1 - (event.clientX - area.left - 44) / (area.width - 52));
    let best = 0;
    past.unix.forEach((unix, index) => { if (Math.abs(unix - at) < Math.abs(past.unix[best] - at)) best = index; });
    move(best);
  });
  box.addEventListener("pointerleave", () => move(undefined));
  box.addEventListener("blur", () => move(undefined));
  box.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12, Home: -1e9, End: 1e9 };
    if (event.key === "Escape") return move(undefined);
    if (!(event.key in steps)) return;
    event.preventDefault();
    move((cursor[id] === undefined ? past.unix.length : cursor[id]) + steps[event.key]);
    $("reader").textContent = box.say(cursor[id]);
  });
}

// From counts since the start to what happened between two samples.
function rates(key) {
  return past[key].map((value, index) => {
    const before = index - 1;
    if (before < 0) return null;
    const seconds = past.unix[index] - past.unix[before];
    return seconds > 0 ? Math.max(0, value - past[key][before]) / seconds : null;
  });
}
function means(sum, number) {
  return past[sum].map((value, index) => {
    const before = index - 1;
    if (before < 0) return null;
    const many = past[number][index] - past[number][before];
    return many > 0 ? (value - past[sum][before]) / many : null;
  });
}

/// The time within which a share of the answers came, read off the buckets.
function within(histogram, share) {
  if (!histogram.count) return 0;
  let seen = 0, low = 0;
  for (const [bound, many] of histogram.buckets) {
    if (seen + many >= share * histogram.count && many > 0) {
      return low + (bound - low) * ((share * histogram.count - seen) / many);
    }
    seen += many;
    low = bound;
  }
  return low;
}

// Half of the answers and 99 of 100, on one scale from a microsecond to ten seconds.
function spread(hit, graph) {
  const box = $("spread");
  const width = box.clientWidth, height = 104, left = 62, right = 16;
  if (!width) return;
  const x = (seconds) => left + (width - left - right) * ((Math.log10(Math.min(Math.max(seconds, 1e-6), 10)) + 6) / 7);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  const said = [];
  for (const [seconds, name] of [[1e-6, "1 µs"], [1e-5, "10 µs"], [1e-4, "100 µs"], [1e-3, "1 ms"], [1e-2, "10 ms"], [0.1, "100 ms"], [1, "1 s"], [10, "10 s"]]) {
    picture.append(svg("line", { class: "grid", x1: x(seconds), x2: x(seconds), y1: 8, y2: 84 }));
    if (width > 460 || Math.round(Math.log10(seconds)) % 2) picture.append(svg("text", { class: "axis", x: x(seconds), y: 99, "text-anchor": "middle" }, name));
  }
  [["memory", "Memory", hit, 28], ["graph", "Graph", graph, 66]].forEach(([kind, title, histogram, y]) => {
    picture.append(svg("text", { class: `name ${kind}`, x: 0, y: y + 4 }, title));
    if (!histogram.count) return;
    const half = within(histogram, 0.5), most = within(histogram, 0.99);
    picture.append(svg("line", { class: `bar ${kind}`, x1: x(half), x2: Math.max(x(most), x(half) + 0.1), y1: y, y2: y }));
    picture.append(svg("circle", { class: `dot ${kind}`, cx: x(half), cy: y, r: 6 }));
    const text = `half ${time(half)} · 99 % ${time(most)}`;
    const room = x(most) + 14 + text.length * 6.4 < width;
    picture.append(svg("text", { class: "ink", x: room ? x(most) + 14 : x(half) - 14, y: y + 4, "text-anchor": room ? "start" : "end" }, text));
    said.push(`${title}: ${text}`);
  });
  picture.setAttribute("aria-label", said.join("; "));
  box.replaceChildren(picture);
  const [ours, theirs] = [within(hit, 0.5), within(graph, 0.5)];
  $("faster").textContent = ours && theirs ? `An answer from memory comes ${count(theirs / ours)} times sooner.` : "";
}

// ---- the figures -----------------------------------------------------------------------------

function ways(now) {
  const { hit, request, stale, miss, bypass, method, unasked } = now.ways;
  const parts = [
    ["hit", "from memory", hit],
    ["request", "token to be proven", request],
    ["stale", "expired or in doubt", stale],
    ["miss", "not held", miss + now.ways["vary-miss"]],
    ["held-up", "told to wait", unasked],
    ["rest", "past the store", bypass + method],
  ];
  const bar = $("ways"), legend = $("ways-legend");
  if (!bar.children.length) {
    for (const [name, title] of parts) {
      bar.append(html("span", name));
      const line = html("li");
      line.append(html("i", name), title, html("b", ""));
      legend.append(line);
    }
  }
  parts.forEach(([, , many], index) => {
    bar.children[index].style.flexGrow = String(many);
    legend.children[index].querySelector("b").textContent = count(many);
  });
  bar.setAttribute("aria-label", parts.map(([, title, many]) => `${title} ${count(many)}`).join(", "));
}

function pairs(id, lines) {
  const list = $(id);
  while (list.children.length > lines.length * 2) list.lastChild.remove();
  lines.forEach(([title, value, bad], index) => {
    let term = list.children[index * 2], figure = list.children[index * 2 + 1];
    if (!term) { term = html("dt"); figure = html("dd"); list.append(term, figure); }
    if (term.textContent !== title) term.textContent = title;
    if (figure.textContent !== value) figure.textContent = value;
    figure.className = bad ? "bad" : "";
  });
}

// One line of the clocks: a ring that empties while something is waited for.
function clock(name, kind, seconds, title, words) {
  const whole = Math.max(seconds, seconds > 0 ? longest.get(name) || 0 : 0);
  longest.set(name, whole);
  const item = html("li", kind);
  const face = svg("svg", { viewBox: "0 0 60 60", "aria-hidden": "true" });
  const around = 2 * Math.PI * 25;
  face.append(svg("circle", { class: "ring", cx: 30, cy: 30, r: 25 }));
  if (seconds > 0) {
    face.append(svg("circle", { class: "left", cx: 30, cy: 30, r: 25, transform: "rotate(-90 30 30)", "stroke-dasharray": `${(around * seconds) / whole} ${around}` }));
  }
  const left = seconds < 100 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} m`;
  face.append(svg("text", { class: "clock", x: 30, y: 30 }, seconds > 0 ? left : kind === "closed" ? "tries" : "open"));
  const text = html("div");
  text.append(html("strong", "", title), html("span", "quiet", words));
  item.append(face, text);
  return item;
}

const longest = new Map(); // what is waited for -> the wait its clock began with
function budgets(now) {
  const broken = now.breakers.filter((breaker) => breaker.state !== "closed").slice(0, 4).map((breaker) => {
    const title = breaker.of === "connections" ? "Graph cannot be reached" : `Graph fails: ${breaker.budget}, ${breaker.kind} photos`;
    const state = breaker.state === "open" ? `Breaker open, tried again in ${long(Math.ceil(breaker.seconds))}` : "Breaker half open, one question tries";
    return clock(`breaker ${title}`, "closed", breaker.seconds, title, `${state}: ${breaker.reason}.`);
  });
  const items = now.budgets.slice(0, 6).map((budget) => {
    const closed = budget.closed_seconds;
    return clock(budget.label, closed > 0 ? "closed" : "open", closed, budget.label,
      `${closed > 0 ? `Graph says wait ${long(Math.ceil(closed))} · ` : ""}${count(budget.in_flight)} in flight · ${count(budget.queued)} queued`);
  });
  if (!items.length) items.push(html("li", "quiet", "No budget is in use."));
  $("budgets").replaceChildren(...broken, ...items);
  const more = now.budgets.length - 6;
  $("gate").textContent = `${more > 0 ? `${more} more. ` : ""}Closed ${count(now.closures)} ${now.closures === 1 ? "time" : "times"} since the start, ${now.closed_seconds > 0 ? long(now.closed_seconds) : "0 s"} in all; ${count(now.stale.throttled + now.stale["stale-if-error"])} answers were given from memory instead.`;
}

function badge(id, text, kind) {
  $(id).textContent = text;
  $(id).className = `badge ${kind}`;
}

function show(now) {
  badge("ready", now.ready ? "ready" : `not ready: ${now.not_ready}`, now.ready ? "good" : "bad");
  badge("canary", { well: "canary well", silent: "canary silent", dead: "canary dead" }[now.canary] || "canary ?", { well: "good", dead: "bad" }[now.canary] || "");
  badge("sharing", `sharing: ${now.sharing}`, "plain");
  $("about").textContent = [
    now.version,
    `up ${long(now.uptime_seconds)}`,
    `${count(now.connections)} connections`,
    ...Object.entries(now.certificates).map(([listener, ends]) =>
      ends < now.unix ? `certificate of ${listener} has ended` : `certificate of ${listener} for ${long(ends - now.unix)}`),
  ].join(" · ");
  const alarm = now.cross_identity_hits > 0;
  $("alarm").hidden = !alarm;
  $("alarm").textContent = alarm ? "The canary saw one caller's photo given to another. Nothing is served from memory any more. Keep the logs, and report this." : "";

  $("saved").textContent = count(now.saved);
  $("saved-of").textContent = `of ${count(now.requests)} photo requests; ${count(now.calls)} reached Graph`;
  $("share").textContent = percent(now.ways.hit, now.requests);
  const requests = rates("requests"), calls = rates("calls"), hits = rates("hits");
  const ago = Math.max(0, requests.length - 12);
  const lately = (values) => values.slice(ago).reduce((sum, value) => sum + (value || 0), 0);
  $("share-now").textContent = `${percent(lately(hits), lately(requests))} in the last minute`;
  ways(now);

  chart("rate", [
    { name: "memory", title: "requests", values: requests, area: true },
    { name: "graph", title: "calls to Graph", values: calls, area: true },
  ], { unit: (value) => (value >= 10 || value === 0 ? count(value) : value.toFixed(1)) });
  spread(now.hit, now.graph);
  chart("latency", [
    { name: "memory", title: "memory", values: means("hit_seconds", "hits") },
    { name: "graph", title: "Graph", values: means("graph_seconds", "graph_answers") },
  ], { unit: time, log: true });
  budgets(now);

  const share = now.held_bytes / now.bound_bytes;
  const meter = $("meter");
  if (!meter.children.length) meter.append(html("span"));
  meter.firstChild.style.width = `${Math.min(100, share * 100)}%`;
  meter.firstChild.className = share > 0.95 ? "full" : "";
  meter.setAttribute("aria-label", `${bytes(now.held_bytes)} of ${bytes(now.bound_bytes)}`);
  $("memory").textContent = `${bytes(now.held_bytes)} of ${bytes(now.bound_bytes)} held in ${count(now.entries)} entries; the process has ${bytes(now.resident_bytes || 0)}. ${count(now.removals.size)} crowded out, ${count(now.removals.expired)} expired.`;
  chart("memory-trend", [
    { name: "memory", title: "held", values: past.held_bytes, area: true },
    { name: "resident", title: "process", values: past.resident_bytes.map((value) => value || null) },
  ], { unit: bytes, most: roundBytes(Math.max(...past.held_bytes, ...past.resident_bytes)) });

  $("errors").textContent = count(now.errors);
  $("errors").className = `big small${now.errors ? " bad" : ""}`;
  $("errors-of").textContent = `callers got a 5xx; ${percent(now.errors, now.requests)} of photo requests`;
  chart("errors-trend", [{ name: "bad", title: "per second", values: rates("errors"), area: true }], { unit: (value) => (value >= 10 || value === 0 ? count(value) : value.toFixed(1)) });
  const stored = Object.values(now.not_stored).reduce((sum, many) => sum + many, 0);
  const broken = now.breakers.filter((breaker) => breaker.state !== "closed").length;
  pairs("failures", [
    ["Breakers", broken ? `${count(broken)} open` : "closed", broken > 0],
    ["Graph could not be reached", count(now.failures.connect), now.failures.connect > 0],
    ["Graph did not answer in time", count(now.failures.timeout), now.failures.timeout > 0],
    ["Graph's answer broke off", count(now.failures.broken), now.failures.broken > 0],
    ["Graph said 429", count(now.throttled)],
    ["Answers that were not stored", count(stored)],
  ]);
  const more = [
    ["Verifications (has it changed, may this caller see it)", count(now.verifications)],
    ["… of which Graph said: unchanged", count(now.unchanged)],
    ["Shared another caller's question", count(now.collapsed)],
    ["Shown past their lifetime, renewed behind", count(now.stale.revalidating)],
    ["Tokens remembered", count(now.proofs)],
    ["Callers waiting", count(now.waiting_callers)],
    ["Passed through (not photos)", count(now.passed_through)],
  ];
  if (now.sharing !== "tenant") more.push(["sharing = \"tenant\" would have saved", `${count(now.would_share)} more`]);
  pairs("more", more);
}

function roundBytes(most) {
  let size = 2 ** 10;
  while (size < most) size *= 2;
  return size * 0.75 >= most ? size * 0.75 : size;
}

// Keeps what the proxy keeps, with the present at the end.
function remember(now) {
  if (now.history) {
    past = now.history;
    past.live = false;
  }
  const present = {
    unix: now.unix, requests: now.requests, hits: now.ways.hit, calls: now.calls, errors: now.errors,
    hit_seconds: now.hit.sum, graph_answers: now.graph.count, graph_seconds: now.graph.sum,
    held_bytes: now.held_bytes, resident_bytes: now.resident_bytes || 0,
  };
  const keys = Object.keys(present);
  const before = past.unix.length - (past.live ? 2 : 1);
  if (past.live && before >= 0 && present.unix - past.unix[before] < STEP) {
    for (const key of keys) past[key].pop();
  }
  if (past.unix.length && past.unix[past.unix.length - 1] >= present.unix) {
    past.live = false;
    return;
  }
  for (const key of keys) {
    past[key].push(present[key]);
    if (past[key].length > KEPT) past[key].shift();
  }
  past.live = true;
}

async function read() {
  const answer = await fetch(past ? "figures" : "figures?history", {
    headers: token ? { authorization: `Bearer ${token}` } : {},
    cache: "no-store",
  });
  if (answer.status === 401) {
    sessionStorage.removeItem("token");
    token = null;
    $("token").hidden = false;
    $("main").hidden = true;
    return false;
  }
  if (!answer.ok) throw new Error(String(answer.status));
  const now = await answer.json();
  $("token").hidden = true;
  $("main").hidden = false;
  remember(now);
  latest = now;
  show(now);
  return true;
}

async function tick() {
  clearTimeout(timer);
  let again = true;
  try {
    again = await read();
    $("lost").hidden = true;
  } catch (error) {
    $("lost").hidden = false;
    $("lost").textContent = "The proxy does not answer; trying again.";
    badge("ready", "no answer", "bad");
    past = null; // It may have been started anew: begin with its own history.
  }
  if (again && !document.hidden) timer = setTimeout(tick, 1000);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return clearTimeout(timer);
  past = null;
  tick();
});
window.addEventListener("resize", () => latest && past && show(latest));
$("token").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token-value").value;
  $("token-value").value = "";
  sessionStorage.setItem("token", token);
  tick();
});
tick();
