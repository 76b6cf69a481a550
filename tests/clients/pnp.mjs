// @pnp/graph: `DefaultInit` with the proxy's address.
import { graphfi, DefaultHeaders, DefaultInit, graphDelete, graphGet, GraphQueryable, graphPost, graphPut } from "@pnp/graph";
import "@pnp/graph/batching.js";
import "@pnp/graph/users/index.js";
import "@pnp/graph/photos/index.js";
import { BearerToken, BrowserFetch, BufferParse, body, JSONParse, TextParse } from "@pnp/queryable";
import { run, world } from "./scenarios.mjs";

await run("@pnp/graph", 4, (base, token) => {
  // docs: pnp
  const graph = graphfi().using(
    DefaultInit(`${base}/v1.0`),
    DefaultHeaders(),
    BrowserFetch(),
    BearerToken(token),
    JSONParse(),
  );
  // end
  const at = (path, parse) =>
    GraphQueryable(`${base}/v1.0${path}`).using(
      DefaultInit(`${base}/v1.0`),
      DefaultHeaders(),
      BrowserFetch(),
      BearerToken(token),
      parse,
    );
  const told = async (promise) => {
    try {
      return await promise;
    } catch (error) {
      const text = await error.response?.clone().text().catch(() => "");
      let code;
      try {
        code = JSON.parse(text).error.code;
      } catch {
        code = error.message.match(/"code":"(\w+)"/)?.[1];
      }
      throw Object.assign(error, { status: error.status, code });
    }
  };
  return {
    bytes: (path) => told(path.startsWith("/me/photo/") ? graph.me.photo.getBuffer() : graphGet(at(path, BufferParse()))),
    json: (path) => told(graphGet(at(path, JSONParse()))),
    put: (path, bytes) => told(graphPut(at(path, TextParse()), { body: bytes, headers: { "Content-Type": "image/jpeg" } })),
    del: (path) => told(graphDelete(at(path, TextParse()))),
    batch: async (requests) => (await told(graphPost(at("/$batch", JSONParse()), body({ requests })))).responses,
  };
});

// Inside a batch it hands a picture on as the base64 text it came as.
{
  const token = world.token;
  const fluent = (base) =>
    graphfi().using(DefaultInit(`${base}/v1.0`), DefaultHeaders(), BrowserFetch(), BearerToken(token), JSONParse());
  const people = world.people.slice(40, 46).map((one) => one.id);
  const faces = [];
  for (const id of people) faces.push(Buffer.from(await fluent(world.graph).users.getById(id).photo.getBuffer()));
  const proxy = fluent(world.proxy);
  // Every other one is held, so that both sides answer.
  for (const id of people.filter((_, n) => n % 2)) await proxy.users.getById(id).photo.getBuffer();
  const [batched, execute] = proxy.batched();
  const asked = people.map((id) => batched.users.getById(id).photo.getBuffer());
  await execute();
  const shown = (await Promise.all(asked)).map((text) => Buffer.from(Buffer.from(text).toString(), "base64"));
  const fine = shown.every((bytes, n) => bytes.equals(faces[n]));
  console.log(`${fine ? "ok" : "not ok"} @pnp/graph: a batch half from memory shows every face as its own`);
  if (!fine) process.exitCode = 1;
}
