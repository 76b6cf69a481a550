// Starts the world, runs every client in a process of its own, counts.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const world = spawn(process.env.WORLD_PROGRAM, { stdio: ["pipe", "pipe", "inherit"] });
const [first] = await new Promise((resolve) => {
  createInterface({ input: world.stdout }).once("line", (line) => resolve([line]));
});
const { ca } = JSON.parse(first);
const env = {
  ...process.env,
  WORLD: first,
  NODE_EXTRA_CA_CERTS: ca,
  SSL_CERT_FILE: ca,
  REQUESTS_CA_BUNDLE: ca,
  NO_PROXY: "localhost,127.0.0.1",
};

const clients = [
  ["node", ["fetch.mjs"]],
  ["node", ["graph-client.mjs"]],
  ["node", ["graph-client-plain.mjs"]],
  ["node", ["kiota.mjs"]],
  ["node", ["pnp.mjs"]],
  ["node", ["links.mjs"]],
  ["node", ["curl.mjs"]],
  ["node", ["chromium.mjs"]],
  [process.env.PYTHON, ["httpx_client.py"]],
  [process.env.PYTHON, ["requests_client.py"]],
  [process.env.PYTHON, ["msgraph_core_client.py"]],
  [process.env.PYTHON, ["msgraph_sdk_client.py"]],
].filter(([, [file]]) => process.argv.length < 3 || process.argv.slice(2).some((only) => file.includes(only)));

let passed = 0;
let failed = 0;
for (const [program, [file]] of clients) {
  const child = spawn(program, [file], { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  let wrong = "";
  child.stdout.on("data", (text) => (said += text));
  child.stderr.on("data", (text) => (wrong += text));
  const limit = setTimeout(() => child.kill("SIGKILL"), 120_000);
  const code = await new Promise((resolve) => child.on("close", resolve));
  clearTimeout(limit);
  const count = (word) => said.split("\n").filter((line) => line.startsWith(word)).length;
  passed += count("ok ");
  failed += count("not ok ");
  process.stdout.write(said.replace(/^/gm, `${file}: `).replace(/[^\n]*: $/, ""));
  if (code !== 0 && count("not ok ") === 0) {
    failed += 1;
    console.log(`${file}: not ok, ended with ${code}\n${wrong.slice(-2000)}`);
  } else if (count("ok ") === 0) {
    failed += 1;
    console.log(`${file}: not ok, tried nothing`);
  }
}
await fetch(`${JSON.parse(first).control}/end`).catch(() => {});
world.kill();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
