/** Closes the objects of deleted webhooks that could not be reached at the time; a bounded number a run. */
import { deletedEndpoints, forgetEndpoint } from "../directory/endpoints.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import type { EndpointClient } from "../endpoint/client.ts";

const ENDPOINTS_A_RUN = 20;

export async function closeDeleted(tools: {
  db: D1Database;
  endpoints: EndpointClient;
}): Promise<void> {
  for (const who of await deletedEndpoints(tools.db, ENDPOINTS_A_RUN)) {
    try {
      const closed = await tools.endpoints.close(who);
      if (closed.ok) await forgetEndpoint(tools.db, who.endpointId);
      else logWarning("endpoint refuses to close", { endpoint: who.endpointId, ...closed.error });
    } catch (error) {
      logWarning("endpoint not closed", { endpoint: who.endpointId, ...errorFields(error) });
    }
  }
}
