/**
 * How the rest of the edge reaches Device objects. Hides the namespace; adds the crossing and a deadline to every
 * call. A lost call throws: the caller decides, since a late effect is possible. Holds no rules.
 */
import { cross } from "../domain/crossing.ts";
import { withDeadline } from "../domain/deadline.ts";
import type { Device } from "./device.ts";
import type { BooksWish, DeviceRpc } from "./interface.ts";

const CALL_TIMEOUT_MS = 5_000;

export interface DeviceClient extends Omit<
  DeviceRpc,
  "mintTicket" | "dismiss" | "books" | "sealKeys" | "poke"
> {
  mintTicket(
    deviceId: string,
    request: Parameters<DeviceRpc["mintTicket"]>[0],
  ): ReturnType<DeviceRpc["mintTicket"]>;
  dismiss(deviceId: string, hostId: string): ReturnType<DeviceRpc["dismiss"]>;
  books(deviceId: string, wish: BooksWish): ReturnType<DeviceRpc["books"]>;
  sealKeys(deviceId: string): ReturnType<DeviceRpc["sealKeys"]>;
  poke(deviceId: string): ReturnType<DeviceRpc["poke"]>;
  /** The same with another deadline for each call. */
  within(timeoutMs: number): DeviceClient;
  /** Passes a host's WebSocket upgrade on. */
  connect(deviceId: string, request: Request): Promise<Response>;
}

export function deviceStub(
  namespace: DurableObjectNamespace<Device>,
  deviceId: string,
): DurableObjectStub<Device> {
  return namespace.get(namespace.idFromName(deviceId));
}

export function deviceClient(
  namespace: DurableObjectNamespace<Device>,
  timeoutMs = CALL_TIMEOUT_MS,
): DeviceClient {
  const call = async <T>(
    name: string,
    deviceId: string,
    ask: (device: DurableObjectStub<Device>) => Promise<T>,
  ): Promise<T> =>
    withDeadline(
      cross("object", `device.${name}`, async () => ask(deviceStub(namespace, deviceId))),
      timeoutMs,
    );
  return {
    within: (otherTimeoutMs) => deviceClient(namespace, otherTimeoutMs),
    install: (who) => call("install", who.deviceId, async (device) => device.install(who)),
    enqueue: (who, messages) =>
      call("enqueue", who.deviceId, async (device) => device.enqueue(who, messages)),
    abandon: (who, ids, nonce) =>
      call("abandon", who.deviceId, async (device) => device.abandon(who, ids, nonce)),
    cancel: (who, ids, by) =>
      call("cancel", who.deviceId, async (device) => device.cancel(who, ids, by)),
    view: (who) => call("view", who.deviceId, async (device) => device.view(who)),
    pair: (who, phone) => call("pair", who.deviceId, async (device) => device.pair(who, phone)),
    resume: (who) => call("resume", who.deviceId, async (device) => device.resume(who)),
    unpair: (who) => call("unpair", who.deviceId, async (device) => device.unpair(who)),
    message: (who, id) => call("message", who.deviceId, async (device) => device.message(who, id)),
    messages: (who, ids) =>
      call("messages", who.deviceId, async (device) => device.messages(who, ids)),
    queueView: (who, countMax) =>
      call("queueView", who.deviceId, async (device) => device.queueView(who, countMax)),
    waiting: (who, afterId, countMax) =>
      call("waiting", who.deviceId, async (device) => device.waiting(who, afterId, countMax)),
    close: (who) => call("close", who.deviceId, async (device) => device.close(who)),
    checkBalanceWindow: (who, keyId) =>
      call("checkBalanceWindow", who.deviceId, async (device) =>
        device.checkBalanceWindow(who, keyId),
      ),
    configure: (who, settings) =>
      call("configure", who.deviceId, async (device) => device.configure(who, settings)),
    events: (who, afterN, countMax) =>
      call("events", who.deviceId, async (device) => device.events(who, afterN, countMax)),
    inbound: (who, beforeN, countMax) =>
      call("inbound", who.deviceId, async (device) => device.inbound(who, beforeN, countMax)),
    mintTicket: (deviceId, request) =>
      call("mintTicket", deviceId, async (device) => device.mintTicket(request)),
    dismiss: (deviceId, hostId) =>
      call("dismiss", deviceId, async (device) => device.dismiss(hostId)),
    books: (deviceId, wish) => call("books", deviceId, async (device) => device.books(wish)),
    sealKeys: (deviceId) => call("sealKeys", deviceId, async (device) => device.sealKeys()),
    poke: (deviceId) => call("poke", deviceId, async (device) => device.poke()),
    connect: (deviceId, request) =>
      call("connect", deviceId, async (device) => device.fetch(request)),
  };
}
