/**
 * How the rest of the edge reaches the one Alerts object. Hides the namespace and its name; adds the crossing and a
 * deadline to every call. Holds no rules.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { Alerts } from "./alerts.ts";
import type { AlertsRpc } from "./interface.ts";

const OBJECT_NAME = "alerts";
const CALL_TIMEOUT_MS = 5_000;

export function alertsClient(namespace: DurableObjectNamespace<Alerts>): AlertsRpc {
  const call = async <T>(
    name: string,
    ask: (alerts: DurableObjectStub<Alerts>) => Promise<T>,
  ): Promise<T> =>
    withDeadline(
      cross("object", `alerts.${name}`, async () =>
        ask(namespace.get(namespace.idFromName(OBJECT_NAME))),
      ),
      CALL_TIMEOUT_MS,
    );
  return {
    raise: (raised) => call("raise", async (alerts) => alerts.raise(raised)),
    list: (which) => call("list", async (alerts) => alerts.list(which)),
    acknowledge: (ids) => call("acknowledge", async (alerts) => alerts.acknowledge(ids)),
  };
}
