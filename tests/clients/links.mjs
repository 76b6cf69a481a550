// A client that follows next links: with rewrite_links every page of a list comes through the
// proxy. The Graph here is a list of pages and no more; the proxy is the real binary.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { DefaultHeaders, DefaultInit, graphfi } from "@pnp/graph";
import "@pnp/graph/users/index.js";
import { BearerToken, BrowserFetch, JSONParse } from "@pnp/queryable";

const PAGES = 4;
const binary = process.env.PROXY_PROGRAM;

const freePort = () => new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});

/** Three people a page, and a link to the next in Graph's own name. */
async function startGraph() {
  const graph = createServer((request, response) => {
    const page = Number(new URL(request.url, "http://graph").searchParams.get("$skiptoken") ?? 0);
    graph.asked.push(request.headers.authorization);
    const value = [0, 1, 2].map((n) => ({ id: `person-${page * 3 + n}`, site: `${graph.origin}/stays` }));
    const next = page + 1 < PAGES ? { "@odata.nextLink": `${graph.origin}/v1.0/users?$skiptoken=${page + 1}` } : {};
    const text = JSON.stringify({ ...next, value });
    response.writeHead(200, { "content-type": "application/json;odata.metadata=minimal" });
    // In two pieces, cut in the link.
    response.write(text.slice(0, 40));
    setImmediate(() => response.end(text.slice(40)));
  });
  graph.asked = [];
  await new Promise((resolve) => graph.listen(0, "127.0.0.1", resolve));
  graph.origin = `http://127.0.0.1:${graph.address().port}`;
  return graph;
}

async function startProxy(graph, ...flags) {
  const port = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const all = [`--listen=127.0.0.1:${port}`, "--admin=127.0.0.1:0", `--upstream=${graph.origin}`, "--log=warn"];
  const child = spawn(binary, [...all, ...flags.map((flag) => flag.replace("BASE", base))], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const [name, address] = line.split(" ");
    if (name === "admin") return { base, admin: address, stop: () => child.kill("SIGTERM") };
  }
  throw new Error("the proxy did not start");
}

/** How many answers have passed through the proxy. */
async function passed(proxy) {
  const text = await (await fetch(`${proxy.admin}/metrics`)).text();
  const lines = text.split("\n").filter((line) => /upstream_requests_total\{.*route="pass_through"/.test(line));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

async function walk(base) {
  const graph = graphfi().using(DefaultInit(`${base}/v1.0`), DefaultHeaders(), BrowserFetch(), BearerToken("token"), JSONParse());
  const people = [];
  for await (const page of graph.users) people.push(...page);
  return people;
}

for (const [name, flags, through] of [
  ["links as Graph gives them: the first page comes through the proxy, the rest from Graph", [], 1],
  ["rewrite_links: every page comes through the proxy", ["--rewrite-links", "--public-url=BASE"], PAGES],
]) {
  const graph = await startGraph();
  const proxy = await startProxy(graph, ...flags);
  try {
    const people = await walk(proxy.base);
    const ids = people.map((person) => person.id).join();
    const expected = Array.from({ length: PAGES * 3 }, (_, n) => `person-${n}`).join();
    const right = ids === expected && people.every((person) => person.site === `${graph.origin}/stays`)
      && graph.asked.length === PAGES && graph.asked.every((token) => token === "Bearer token")
      && (await passed(proxy)) === through;
    if (!right) console.error(ids, graph.asked, await passed(proxy), people[0]);
    console.log(`${right ? "ok" : "not ok"} @pnp/graph, ${name}`);
  } catch (error) {
    console.log(`not ok @pnp/graph, ${name}: ${error}`);
  }
  proxy.stop();
  graph.close();
  graph.closeAllConnections();
}
