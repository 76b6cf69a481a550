// @microsoft/msgraph-sdk (Kiota): `baseUrl` before the client is made, and the host among the
// allowed ones.
import { AzureIdentityAuthenticationProvider } from "@microsoft/kiota-authentication-azure";
import { HttpMethod, RequestInformation } from "@microsoft/kiota-abstractions";
import { createGraphServiceClient, GraphRequestAdapter } from "@microsoft/msgraph-sdk";
import "@microsoft/msgraph-sdk-users";
import { run } from "./scenarios.mjs";

function clientFor(base, token) {
  const credential = { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) };
  // docs: msgraph-sdk
  const authentication = new AzureIdentityAuthenticationProvider(
    credential,
    ["https://graph.microsoft.com/.default"],
    undefined,
    new Set([new URL(base).hostname]),
  );
  const adapter = new GraphRequestAdapter(authentication);
  adapter.baseUrl = `${base}/v1.0`;
  const client = createGraphServiceClient(adapter);
  // end
  return { adapter, client };
}

await run("msgraph-sdk for TypeScript", 3, (base, token) => {
  const { adapter, client } = clientFor(base, token);
  const ask = async (method, path, kind, body, type) => {
    const request = new RequestInformation(method, "{+baseurl}" + path.replace("$", "%24"), { baseurl: `${base}/v1.0` });
    request.headers.add("Accept", "application/octet-stream, application/json");
    if (body) request.setStreamContent(body, type);
    try {
      return kind
        ? await adapter.sendPrimitive(request, kind, undefined)
        : await adapter.sendNoResponseContent(request, undefined);
    } catch (error) {
      throw Object.assign(error, { status: error.responseStatusCode });
    }
  };
  const text = (bytes) => JSON.parse(Buffer.from(bytes).toString());
  return {
    bytes: async (path) => {
      const byId = path.match(/^\/users\/([^/]+)\/photo\/\$value$/);
      try {
        // The fluent way where the installed packages have one.
        if (byId) return await client.users.byUserId(byId[1]).photo.content.get();
      } catch (error) {
        throw Object.assign(error, { status: error.responseStatusCode });
      }
      return ask(HttpMethod.GET, path, "ArrayBuffer");
    },
    json: async (path) => text(await ask(HttpMethod.GET, path, "ArrayBuffer")),
    put: (path, bytes) => ask(HttpMethod.PUT, path, undefined, new Uint8Array(bytes).buffer, "image/jpeg"),
    del: (path) => ask(HttpMethod.DELETE, path),
    batch: async (requests) => {
      const body = new TextEncoder().encode(JSON.stringify({ requests })).buffer;
      return text(await ask(HttpMethod.POST, "/$batch", "ArrayBuffer", body, "application/json")).responses;
    },
  };
});
