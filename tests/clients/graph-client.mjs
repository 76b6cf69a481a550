// @microsoft/microsoft-graph-client over https: `baseUrl`, and the host in `customHosts`, or the
// token is dropped in silence.
import { Client } from "@microsoft/microsoft-graph-client";
import { operations } from "./graph-client-operations.mjs";
import { run } from "./scenarios.mjs";

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
