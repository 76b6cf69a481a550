// @microsoft/microsoft-graph-client over https: `baseUrl`, and the host in `customHosts`, or the
// token is dropped in silence.
import { Client, ResponseType } from "@microsoft/microsoft-graph-client";
import { run } from "./scenarios.mjs";

export function operations(client) {
  const told = async (promise) => {
    try {
      return await promise;
    } catch (error) {
      throw Object.assign(error, { status: error.statusCode });
    }
  };
  return {
    bytes: (path) => told(client.api(path).responseType(ResponseType.ARRAYBUFFER).get()),
    json: (path) => told(client.api(path).get()),
    put: (path, bytes) => told(client.api(path).header("Content-Type", "image/jpeg").put(bytes)),
    del: (path) => told(client.api(path).delete()),
    batch: async (requests) => (await told(client.api("/$batch").post({ requests }))).responses,
  };
}

await run("microsoft-graph-client", 1, (base, token) => {
  // docs: microsoft-graph-client
  const client = Client.init({
    baseUrl: base,
    customHosts: new Set([new URL(base).hostname]),
    authProvider: (done) => done(null, token),
  });
  // end
  return operations(client);
});
