/**
 * How the rest of the edge reaches the one Restore object. Hides the namespace and its name; adds the crossing and a
 * deadline to every call. Holds no rules.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { RestoreRpc } from "./interface.ts";
import type { Restore } from "./restore.ts";

const OBJECT_NAME = "restore";
const CALL_TIMEOUT_MS = 5_000;

export function restoreClient(namespace: DurableObjectNamespace<Restore>): RestoreRpc {
  const call = async <T>(
    name: string,
    ask: (restore: DurableObjectStub<Restore>) => Promise<T>,
  ): Promise<T> =>
    withDeadline(
      cross("object", `restore.${name}`, async () =>
        ask(namespace.get(namespace.idFromName(OBJECT_NAME))),
      ),
      CALL_TIMEOUT_MS,
    );
  return {
    view: () => call("view", async (restore) => restore.view()),
    forgotten: (deviceId) => call("forgotten", async (restore) => restore.forgotten(deviceId)),
    hold: () => call("hold", async (restore) => restore.hold()),
    raise: () => call("raise", async (restore) => restore.raise()),
    release: (force) => call("release", async (restore) => restore.release(force)),
  };
}
