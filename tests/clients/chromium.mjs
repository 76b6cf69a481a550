// A page of another origin in Chromium, with fetch.
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { count, failure, run, world } from "./scenarios.mjs";

const pages = createServer((_, response) => {
  response.setHeader("Content-Type", "text/html");
  response.end("<!doctype html><title>a page of another origin</title>");
}).listen(0, "127.0.0.1");
await new Promise((resolve) => pages.once("listening", resolve));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--ignore-certificate-errors"],
});
const page = await browser.newPage({ ignoreHTTPSErrors: true });
await page.goto(`http://127.0.0.1:${pages.address().port}/`);

const ask = async (base, token, path, init = {}) => {
  const { bytes, ...rest } = init;
  const answer = await page.evaluate(
    async ([url, token, init, bytes]) => {
      if (bytes) init.body = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
      const response = await fetch(url, { ...init, headers: { Authorization: `Bearer ${token}`, ...init.headers } });
      const all = new Uint8Array(await response.arrayBuffer());
      let text = "";
      for (const byte of all) text += String.fromCharCode(byte);
      return { status: response.status, etag: response.headers.get("etag"), says: response.headers.get("cache-status"), body: btoa(text) };
    },
    [`${base}/v1.0${path}`, token, rest, bytes?.toString("base64")],
  );
  const body = Buffer.from(answer.body, "base64");
  if (answer.status >= 400) throw failure(answer.status, body.toString());
  return { ...answer, body };
};

await run("fetch in Chromium", 6, (base, token) => ({
  bytes: async (path) => (await ask(base, token, path, { cache: "no-store" })).body,
  json: async (path) => JSON.parse((await ask(base, token, path)).body.toString()),
  put: (path, bytes) => ask(base, token, path, { method: "PUT", bytes, headers: { "Content-Type": "image/jpeg" } }),
  del: (path) => ask(base, token, path, { method: "DELETE" }),
  batch: async (requests) => {
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ requests }) };
    return JSON.parse((await ask(base, token, "/$batch", init)).body.toString()).responses;
  },
}));

const say = (what, fine, more) => {
  console.log(`${fine ? "ok" : "not ok"} fetch in Chromium: ${what}${fine ? "" : ` ${JSON.stringify(more)}`}`);
  if (!fine) process.exitCode = 1;
};
// First fetched without an Origin, then by the page.
const path = `/users/${world.people[30].id}/photo/$value`;
const headers = { Authorization: `Bearer ${world.token}` };
await fetch(`${world.proxy}/v1.0${path}`, { headers });
const shown = await ask(world.proxy, world.token, path, { cache: "no-store" });
say("reads a photo first fetched without an Origin, and its exposed fields", shown.status === 200 && shown.etag && shown.says.includes("hit"), shown);
await ask(world.proxy, world.token, path);
await count("/clear");
const again = await ask(world.proxy, world.token, path, { cache: "no-cache" });
const { photoCalls } = await count();
say("revalidates its own copy by a 304 of the proxy", again.body.equals(shown.body) && photoCalls === 0, { photoCalls });
await browser.close();
pages.close();
