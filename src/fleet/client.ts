/**
 * How the rest of the edge reaches the one Fleet object. Hides the namespace and its name; adds the crossing and
 * a deadline to every call. Holds no rules.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { Fleet } from "./fleet.ts";
import type { FleetRpc } from "./interface.ts";

const FLEET_NAME = "fleet";
const CALL_TIMEOUT_MS = 5_000;

export interface FleetClient extends FleetRpc {
  /** Passes a host's WebSocket upgrade on. */
  connect(request: Request): Promise<Response>;
}

export function fleetClient(namespace: DurableObjectNamespace<Fleet>): FleetClient {
  const stub = (): DurableObjectStub<Fleet> => namespace.get(namespace.idFromName(FLEET_NAME));
  const call = <T>(
    name: string,
    ask: (fleet: DurableObjectStub<Fleet>) => Promise<T>,
  ): Promise<T> =>
    cross("object", `fleet.${name}`, () => withDeadline(ask(stub()), CALL_TIMEOUT_MS));
  return {
    approveHost: (host) => call("approveHost", async (fleet) => fleet.approveHost(host)),
    revokeHost: (hostId) => call("revokeHost", async (fleet) => fleet.revokeHost(hostId)),
    hosts: () => call("hosts", async (fleet) => fleet.hosts()),
    drainHost: (hostId, drained) =>
      call("drainHost", async (fleet) => fleet.drainHost(hostId, drained)),
    allowClient: (version) => call("allowClient", async (fleet) => fleet.allowClient(version)),
    want: (deviceId) => call("want", async (fleet) => fleet.want(deviceId)),
    connect: (request) => call("connect", async (fleet) => fleet.fetch(request)),
    release: (deviceId, why) => call("release", async (fleet) => fleet.release(deviceId, why)),
    mayDropKeys: () => call("mayDropKeys", async (fleet) => fleet.mayDropKeys()),
    logOuts: () => call("logOuts", async (fleet) => fleet.logOuts()),
    releaseLogOuts: () => call("releaseLogOuts", async (fleet) => fleet.releaseLogOuts()),
  };
}
