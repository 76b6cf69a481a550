// What a client of @microsoft/microsoft-graph-client is asked to do, however it was made.
import { ResponseType } from "@microsoft/microsoft-graph-client";

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
