// curl: change the address.
import { execFile } from "node:child_process";
import { failure, run, world } from "./scenarios.mjs";

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
