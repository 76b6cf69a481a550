// What every client is put through: direct to Graph and through the proxy, cold and warm.
//
// A client is made by `make(base, token)` and does `bytes(path)`, `json(path)`,
// `put(path, bytes)`, `del(path)`; `batch(requests)` gives Graph's `responses`. What fails is
// thrown as an error with `status` and `code`.
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";

export const world = JSON.parse(process.env.WORLD);
const hash = (bytes) => createHash("sha256").update(bytes).digest("hex").slice(0, 16);

export async function count(path = "/count") {
  return (await fetch(world.control + path)).json();
}

/** The reads, by name. `n` spreads the clients over the people. */
function reads(n) {
  const [a, b] = [world.people[n + 1], world.people[n + 2]];
  const none = world.faceless[n % world.faceless.length];
  return {
    bytes: {
      "my photo": "/me/photo/$value",
      "a user by id": `/users/${a.id}/photo/$value`,
      "a user by principal name": `/users/${b.upn}/photo/$value`,
      "a sized photo": `/users/${a.id}/photos/48x48/$value`,
      "a group": `/groups/${world.group}/photo/$value`,
      "a team": `/teams/${world.team}/photo/$value`,
      "a contact": `/me/contacts/${world.contact}/photo/$value`,
      "a contact in a folder": `/me/contactFolders/${world.folder}/contacts/${world.contact}/photo/$value`,
      "no photo": `/users/${none.id}/photo/$value`,
    },
    json: {
      "metadata": `/users/${a.id}/photo`,
      "the list of sizes": `/users/${a.id}/photos`,
      "metadata of no photo": `/users/${none.id}/photo`,
    },
  };
}

async function outcome(ask) {
  try {
    return { ok: await ask() };
  } catch (error) {
    if (!(error.status >= 400)) throw error;
    return { status: error.status, code: error.code };
  }
}

async function pass(client, n) {
  const seen = {};
  const { bytes, json } = reads(n);
  for (const [name, path] of Object.entries(bytes)) {
    seen[name] = await outcome(async () => hash(Buffer.from(await client.bytes(path))));
  }
  for (const [name, path] of Object.entries(json)) {
    seen[name] = await outcome(async () => JSON.parse(JSON.stringify(await client.json(path))));
  }
  return seen;
}

async function batchPass(client, n) {
  const people = [world.people[n + 1], world.people[n + 2]];
  const none = world.faceless[n % world.faceless.length];
  const requests = [
    { id: "1", method: "GET", url: `/users/${people[0].id}/photo/$value` },
    { id: people[1].upn, method: "GET", url: `/users/${people[1].id}/photo/$value` },
    { id: "none", method: "GET", url: `/users/${none.id}/photo/$value` },
    { id: "json", method: "GET", url: `/users/${people[0].id}/photo` },
  ];
  const seen = {};
  for (const { id, status, headers, body } of await client.batch(requests)) {
    const { "Content-Type": type, ETag: etag } = headers ?? {};
    seen[id] = { status, type, etag, body: body?.error?.code ?? body };
  }
  return seen;
}

/** Runs all and says how it went, a line each. */
export async function run(name, n, make, { direct = world.graph, through = world.proxy } = {}) {
  const token = world.token;
  const say = (what, fine, more) => {
    console.log(`${fine ? "ok" : "not ok"} ${name}: ${what}${fine ? "" : ` ${JSON.stringify(more)}`}`);
    if (!fine) process.exitCode = 1;
  };
  const [graph, proxy] = [await make(direct, token), await make(through, token)];
  const expected = await pass(graph, n);
  const cold = await pass(proxy, n);
  await count("/clear");
  const warm = await pass(proxy, n);
  const { photoCalls } = await count();
  for (const what of Object.keys(expected)) {
    const fine = isDeepStrictEqual(expected[what], cold[what]) && isDeepStrictEqual(expected[what], warm[what]);
    say(what, fine, { expected: expected[what], cold: cold[what], warm: warm[what] });
  }
  say("a warm pass costs no photo call", photoCalls === 0, { photoCalls });
  say("no photo is 404", expected["no photo"].status === 404, expected["no photo"]);

  const path = `/users/${world.people[n + 20].id}/photo/$value`;
  const other = Buffer.from(await graph.bytes(`/users/${world.people[n + 1].id}/photo/$value`));
  const before = hash(Buffer.from(await proxy.bytes(path)));
  await proxy.put(path, other);
  const after = hash(Buffer.from(await proxy.bytes(path)));
  const truth = hash(Buffer.from(await graph.bytes(path)));
  say("a change is read at once", before !== after && after === truth, { before, after, truth });
  await proxy.del(path);
  const gone = await outcome(() => proxy.bytes(path));
  say("a deletion is read at once", gone.status === 404, gone);

  if (proxy.batch) {
    const expected = await batchPass(graph, n);
    await batchPass(proxy, n);
    await count("/clear");
    const warm = await batchPass(proxy, n);
    const { calls } = await count();
    say("a batch with photos reads the same", isDeepStrictEqual(expected, warm), { expected, warm });
    say("a warm batch costs no call", calls === 0, { calls });
  }
  await graph.close?.();
  await proxy.close?.();
}

/** A failed HTTP answer as an error. */
export function failure(status, body) {
  let code;
  try {
    code = JSON.parse(body).error.code;
  } catch {
    // Not Graph's JSON.
  }
  return Object.assign(new Error(`HTTP ${status}`), { status, code });
}
