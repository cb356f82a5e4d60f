/** A device that tells endpoints what happens, and endpoints whose receiver is at hand. Shared by the event tests. */
import type { InboundMessage } from "../../src/bridge/device-frames.ts";
import type { EventType } from "../../src/domain/event.ts";
import type { DeviceSettings } from "../../src/device/interface.ts";
import { CONTACT, newDevice, type TestDevice, unwrap } from "./device-support.ts";
import { DAY_MS, newEndpoint, type Receiver, type TestEndpoint } from "./endpoint-support.ts";

let revision = 0;

/** As the gateway does it: everything at once, under a revision that rises. */
export async function configure(
  device: TestDevice,
  endpoints: readonly (TestEndpoint | { endpoint: TestEndpoint; types: EventType[] })[],
  over: Partial<DeviceSettings> = {},
): Promise<void> {
  revision += 1;
  const listed = endpoints.map((one) =>
    "endpoint" in one
      ? { endpointId: one.endpoint.who.endpointId, types: one.types }
      : { endpointId: one.who.endpointId, types: null },
  );
  await unwrap(
    device.stub.configure(device.identity, {
      revision,
      keepsEvents: false,
      endpoints: listed,
      textsKept: "everybody",
      textsKeptMs: 30 * DAY_MS,
      ...over,
    }),
  );
}

export async function deviceWithEndpoint(): Promise<{
  device: TestDevice;
  endpoint: TestEndpoint;
}> {
  const device = await newDevice();
  const endpoint = await newEndpoint();
  await configure(device, [endpoint]);
  return { device, endpoint };
}

/** The types delivered, in the order in which the receiver had them. */
export function typesOf(receiver: Receiver, prefix = ""): (string | null)[] {
  return receiver.deliveries.map(({ type }) => type).filter((type) => type?.startsWith(prefix));
}

export function dataOf(receiver: Receiver, type: EventType): Record<string, unknown>[] {
  return receiver.deliveries
    .filter((delivery) => delivery.type === type)
    .map(({ body }) => (JSON.parse(body) as { data: Record<string, unknown> }).data);
}

let written = 0;

export function inboundText(over: Partial<InboundMessage> = {}): InboundMessage {
  written += 1;
  return {
    waId: `IN${written}`,
    chat: `${CONTACT}@s.whatsapp.net`,
    chatAlt: null,
    fromMe: false,
    pushName: "Budi",
    sentAtMs: Date.now(),
    kind: "text",
    text: "terima kasih banyak",
    offline: false,
    ...over,
  };
}
