// @microsoft/microsoft-graph-client over plain http: its own middleware would drop the token, so
// one that does not stands first.
import { Client, HTTPMessageHandler } from "@microsoft/microsoft-graph-client";
import { operations } from "./graph-client-operations.mjs";
import { run, world } from "./scenarios.mjs";

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
