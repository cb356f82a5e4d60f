/**
 * How the rest of the edge reaches the one Tombstones object. Hides the namespace and its name; adds the crossing and a
 * deadline to every call. Holds no rules.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { TombstonesRpc } from "./interface.ts";
import type { Tombstones } from "./tombstones.ts";

const OBJECT_NAME = "tombstones";
const CALL_TIMEOUT_MS = 2_000;

export function tombstonesClient(namespace: DurableObjectNamespace<Tombstones>): TombstonesRpc {
  const call = async <T>(
    name: string,
    ask: (object: DurableObjectStub<Tombstones>) => Promise<T>,
  ): Promise<T> =>
    withDeadline(
      cross("object", `tombstones.${name}`, async () =>
        ask(namespace.get(namespace.idFromName(OBJECT_NAME))),
      ),
      CALL_TIMEOUT_MS,
    );
  return {
    bury: (tombstones) => call("bury", async (object) => object.bury(tombstones)),
    find: (messages) => call("find", async (object) => object.find(messages)),
  };
}
