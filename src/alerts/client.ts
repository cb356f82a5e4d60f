/** How the rest of the edge reaches the one Alerts object. Holds no rules. */
import { oneObject } from "../object/one-object.ts";
import type { Alerts } from "./alerts.ts";
import type { AlertsRpc } from "./interface.ts";

const CALL_TIMEOUT_MS = 5_000;

export function alertsClient(namespace: DurableObjectNamespace<Alerts>): AlertsRpc {
  const call = oneObject(namespace, "alerts", CALL_TIMEOUT_MS);
  return {
    raise: (raised) => call("raise", async (alerts) => alerts.raise(raised)),
    list: (which) => call("list", async (alerts) => alerts.list(which)),
    acknowledge: (ids) => call("acknowledge", async (alerts) => alerts.acknowledge(ids)),
  };
}
