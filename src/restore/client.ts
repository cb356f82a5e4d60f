/** How the rest of the edge reaches the one Restore object. Holds no rules. */
import { oneObject } from "../object/one-object.ts";
import type { RestoreRpc } from "./interface.ts";
import type { Restore } from "./restore.ts";

const CALL_TIMEOUT_MS = 5_000;

export function restoreClient(namespace: DurableObjectNamespace<Restore>): RestoreRpc {
  const call = oneObject(namespace, "restore", CALL_TIMEOUT_MS);
  return {
    view: () => call("view", async (restore) => restore.view()),
    forgotten: (deviceId) => call("forgotten", async (restore) => restore.forgotten(deviceId)),
    hold: () => call("hold", async (restore) => restore.hold()),
    raise: () => call("raise", async (restore) => restore.raise()),
    release: (force) => call("release", async (restore) => restore.release(force)),
  };
}
