/** What an attempt makes of settings and stored events that changed since they were accepted. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import {
  attemptsOf,
  crash,
  deadOf,
  inboundEvent,
  newEndpoint,
  Receiver,
  ring,
  Sender,
  settingsOf,
  START,
  statusEvent,
  type TestEndpoint,
  unwrap,
  viewOf,
} from "./endpoint-support.ts";

let receiver: Receiver;

beforeEach(() => {
  vi.setSystemTime(START);
  receiver = new Receiver();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** Changes storage behind the object's back, as only an older version or an attacker could. */
async function tamper(endpoint: TestEndpoint, statement: string, value: string): Promise<void> {
  await runInDurableObject(endpoint.stub, (_, { storage }) => {
    storage.sql.exec(statement, value);
  });
  await crash(endpoint);
}

it("judges the address again at every attempt and calls none that is refused", async () => {
  const endpoint = await newEndpoint({ enabled: false });
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  const inside = JSON.stringify(settingsOf({ url: "https://10.0.0.1/in" }));
  await tamper(endpoint, "UPDATE endpoint SET settings = ?", inside);
  await ring(endpoint);
  expect(receiver.deliveries).toEqual([]);
  expect(await attemptsOf(endpoint)).toMatchObject([
    { outcome: "address_refused", status: null, durationMs: null },
  ]);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 1 });
});

it("sends what waits to the new address, and drops what the new format has no body for", async () => {
  const endpoint = await newEndpoint({ enabled: false });
  await new Sender(endpoint).send(inboundEvent(1), statusEvent(1, "sent"));
  const url = settingsOf().url.replace("/in", "/tracking.php");
  const body = { format: "form", kind: "tracking" } as const;
  await unwrap(endpoint.stub.configure(endpoint.who, settingsOf({ url, body })));
  await ring(endpoint);
  expect(receiver.deliveries.map(({ id, url: to }) => [id, to])).toEqual([["evt_1_sent", url]]);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0 });
  expect(await attemptsOf(endpoint)).toHaveLength(1);
});

it("keeps an event that cannot be read among the dead, says so, and goes on", async () => {
  const alert = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const endpoint = await newEndpoint({ enabled: false });
  await new Sender(endpoint).send(inboundEvent(1), inboundEvent(2));
  await tamper(endpoint, "UPDATE events SET data = zeroblob(50) WHERE id = ?", "evt_in_1");
  await unwrap(endpoint.stub.configure(endpoint.who, settingsOf()));
  await ring(endpoint);
  expect(receiver.ids).toEqual(["evt_in_2"]);
  expect(await deadOf(endpoint)).toMatchObject([{ eventId: "evt_in_1", reason: "unreadable" }]);
  expect(alert).toHaveBeenCalledOnce();
});

it("does not take the data of one event for that of another", async () => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const endpoint = await newEndpoint({ enabled: false });
  await new Sender(endpoint).send(inboundEvent(1), inboundEvent(2, { from: "6281111111111" }));
  await tamper(
    endpoint,
    "UPDATE events SET data = (SELECT data FROM events WHERE id = 'evt_in_2') WHERE id = ?",
    "evt_in_1",
  );
  await unwrap(endpoint.stub.configure(endpoint.who, settingsOf()));
  await ring(endpoint);
  expect(receiver.ids).toEqual(["evt_in_2"]);
});
