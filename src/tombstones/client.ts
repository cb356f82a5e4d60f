/** How the rest of the edge reaches the one Tombstones object. Holds no rules. */
import { oneObject } from "../object/one-object.ts";
import type { TombstonesRpc } from "./interface.ts";
import type { Tombstones } from "./tombstones.ts";

const CALL_TIMEOUT_MS = 2_000;

export function tombstonesClient(namespace: DurableObjectNamespace<Tombstones>): TombstonesRpc {
  const call = oneObject(namespace, "tombstones", CALL_TIMEOUT_MS);
  return {
    bury: (tombstones) => call("bury", async (object) => object.bury(tombstones)),
    find: (messages) => call("find", async (object) => object.find(messages)),
  };
}
