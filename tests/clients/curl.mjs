// curl: change the address.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { count, failure, run, world } from "./scenarios.mjs";

function curl(args, input) {
  return new Promise((resolve, reject) => {
    const options = { encoding: "buffer", maxBuffer: 1 << 26 };
    const child = execFile("curl", ["-s", "-w", "%{stderr}%{http_code}", "--cacert", world.ca, ...args], options, (error, out, err) => {
      const status = Number(err.toString());
      if (error) reject(error);
      else if (status >= 400) reject(failure(status, out.toString()));
      else resolve(out);
    });
    child.stdin.end(input);
  });
}

await run("curl", 5, (base, token) => {
  const ask = (path, args = [], input) => curl(["-H", `Authorization: Bearer ${token}`, ...args, `${base}/v1.0${path}`], input);
  const send = (method, type) => ["-X", method, "-H", `Content-Type: ${type}`, "--data-binary", "@-"];
  return {
    bytes: (path) => ask(path),
    json: async (path) => JSON.parse((await ask(path)).toString()),
    put: (path, bytes) => ask(path, send("PUT", "image/jpeg"), bytes),
    del: (path) => ask(path, ["-X", "DELETE"]),
    batch: async (requests) =>
      JSON.parse((await ask("/$batch", send("POST", "application/json"), JSON.stringify({ requests }))).toString()).responses,
  };
});

// The README's own line, with this world's address and token.
{
  const say = (what, fine, more) => {
    console.log(`${fine ? "ok" : "not ok"} curl: ${what}${fine ? "" : ` ${JSON.stringify(more)}`}`);
    if (!fine) process.exitCode = 1;
  };
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const line = readme.split("\n").find((line) => line.startsWith("curl ")).replace("http://127.0.0.1:8080", world.plain);
  const place = await mkdtemp(join(tmpdir(), "readme-"));
  const asked = () =>
    new Promise((resolve, reject) => {
      const env = { ...process.env, TOKEN: world.token };
      execFile("sh", ["-c", line], { cwd: place, env }, (error, out) => (error ? reject(error) : resolve(out)));
    });
  await asked();
  await count("/clear");
  const head = await asked();
  const { calls } = await count();
  const photo = await readFile(join(place, "me.jpg"));
  say("the README's line gets my photo from memory", /^cache-status: graph-photo-proxy; hit; ttl=\d+\r?$/im.test(head) && calls === 0, { head, calls });
  say("the README's line leaves a JPEG", photo.subarray(0, 2).toString("hex") === "ffd8", { length: photo.length });
  await rm(place, { recursive: true });
}
