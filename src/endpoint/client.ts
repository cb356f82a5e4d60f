/**
 * How the rest of the edge reaches Endpoint objects. Hides the namespace; adds the crossing and a deadline to every
 * call. A lost call throws: every method may be repeated, so the caller simply asks again. Holds no rules.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointIdentity, EndpointRpc } from "./interface.ts";

const CALL_TIMEOUT_MS = 5_000;

export type EndpointClient = EndpointRpc;

export function endpointClient(namespace: DurableObjectNamespace<Endpoint>): EndpointClient {
  const call = async <T>(
    name: string,
    { endpointId }: EndpointIdentity,
    ask: (endpoint: DurableObjectStub<Endpoint>) => Promise<T>,
  ): Promise<T> =>
    cross("object", `endpoint.${name}`, async () =>
      withDeadline(ask(namespace.get(namespace.idFromName(endpointId))), CALL_TIMEOUT_MS),
    );
  return {
    install: (who, settings) =>
      call("install", who, async (endpoint) => endpoint.install(who, settings)),
    configure: (who, settings) =>
      call("configure", who, async (endpoint) => endpoint.configure(who, settings)),
    rotateSecret: (who) =>
      call("rotateSecret", who, async (endpoint) => endpoint.rotateSecret(who)),
    view: (who) => call("view", who, async (endpoint) => endpoint.view(who)),
    deliver: (who, batch) => call("deliver", who, async (endpoint) => endpoint.deliver(who, batch)),
    sendTest: (who) => call("sendTest", who, async (endpoint) => endpoint.sendTest(who)),
    replay: (who, scope, cursor) =>
      call("replay", who, async (endpoint) => endpoint.replay(who, scope, cursor)),
    attempts: (who, cursor) =>
      call("attempts", who, async (endpoint) => endpoint.attempts(who, cursor)),
    deadLetters: (who, cursor) =>
      call("deadLetters", who, async (endpoint) => endpoint.deadLetters(who, cursor)),
    forget: (who, eventIds) =>
      call("forget", who, async (endpoint) => endpoint.forget(who, eventIds)),
    close: (who) => call("close", who, async (endpoint) => endpoint.close(who)),
    poke: (who) => call("poke", who, async (endpoint) => endpoint.poke(who)),
  };
}
