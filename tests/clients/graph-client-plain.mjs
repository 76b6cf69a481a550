// @microsoft/microsoft-graph-client over plain http: its own middleware would drop the token, so
// one that does not stands first.
import { Client, HTTPMessageHandler, ResponseType } from "@microsoft/microsoft-graph-client";
import { run, world } from "./scenarios.mjs";

function operations(client) {
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

await run(
  "microsoft-graph-client, plain http",
  2,
  (base, token) => {
    const getToken = async () => token;
    // docs: microsoft-graph-client-plain
    class BearerToken {
      async execute(context) {
        context.options.headers = { ...context.options.headers, Authorization: `Bearer ${await getToken()}` };
        await this.next.execute(context);
      }
      setNext(next) {
        this.next = next;
      }
    }
    const first = new BearerToken();
    first.setNext(new HTTPMessageHandler());
    const client = Client.initWithMiddleware({ baseUrl: base, middleware: first });
    // end
    return operations(client);
  },
  { through: world.plain },
);
