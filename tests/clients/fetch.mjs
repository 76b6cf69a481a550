// fetch: change the address.
import { failure, run } from "./scenarios.mjs";

await run("fetch", 0, (base, token) => {
  const graph = async (path, init = {}) => {
    // docs: fetch
    const response = await fetch(`${base}/v1.0${path}`, {
      ...init,
      headers: { Authorization: `Bearer ${token}`, ...init.headers },
    });
    // end
    if (!response.ok) throw failure(response.status, await response.text());
    return response;
  };
  return {
    bytes: async (path) => (await graph(path)).arrayBuffer(),
    json: async (path) => (await graph(path)).json(),
    put: (path, body) => graph(path, { method: "PUT", body, headers: { "Content-Type": "image/jpeg" } }),
    del: (path) => graph(path, { method: "DELETE" }),
    batch: async (requests) => {
      const body = JSON.stringify({ requests });
      const headers = { "Content-Type": "application/json" };
      return (await (await graph("/$batch", { method: "POST", body, headers })).json()).responses;
    },
  };
});
