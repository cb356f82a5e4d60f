/** How events get into an endpoint: numbers without gaps, one tenant, wanted types only, a bounded queue. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { DeliveryBatch } from "../../src/endpoint/interface.ts";
import { ACCOUNT_ORDER_KEY, type WebhookEvent } from "../../src/domain/event.ts";
import {
  blankEndpoint,
  crash,
  deadOf,
  fillWithBound,
  inboundEvent,
  newEndpoint,
  Receiver,
  ring,
  Sender,
  settingsOf,
  START,
  statusEvent,
  unwrap,
  viewOf,
} from "./endpoint-support.ts";

const DEVICE = { kind: "device", deviceId: "a".repeat(32) } as const;

let receiver: Receiver;

beforeEach(() => {
  vi.setSystemTime(START);
  receiver = new Receiver();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function batchOf(first: number, ...events: WebhookEvent[]): DeliveryBatch {
  return {
    source: DEVICE,
    events: events.map((event, index) => ({ sequence: first + index, event })),
  };
}

it("takes numbered events once, answers the highest it has, and refuses a gap as a whole", async () => {
  const { stub, who } = await newEndpoint();
  const [a, b, c, d] = [1, 2, 3, 4].map((n) => inboundEvent(n)) as [
    WebhookEvent,
    WebhookEvent,
    WebhookEvent,
    WebhookEvent,
  ];
  expect(await stub.deliver(who, batchOf(2, b))).toEqual({
    ok: false,
    error: { reason: "gap", highest: 0 },
  });
  expect(await unwrap(stub.deliver(who, batchOf(1, a, b)))).toEqual({ highest: 2 });
  expect(await unwrap(stub.deliver(who, batchOf(1, a, b)))).toEqual({ highest: 2 });
  expect(await stub.deliver(who, batchOf(4, d))).toEqual({
    ok: false,
    error: { reason: "gap", highest: 2 },
  });
  expect(await unwrap(stub.deliver(who, batchOf(2, b, c, d)))).toEqual({ highest: 4 });
  expect(await unwrap(stub.deliver(who, batchOf(1)))).toEqual({ highest: 4 });
  await ring({ stub });
  expect(receiver.ids).toEqual(["evt_in_1", "evt_in_2", "evt_in_3", "evt_in_4"]);
});

it("numbers each source by itself and keeps an event that two of them tell once", async () => {
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(inboundEvent(1));
  await new Sender(endpoint, { kind: "device", deviceId: "e".repeat(32) }).send(
    inboundEvent(1),
    inboundEvent(2),
  );
  await new Sender(endpoint, { kind: "account" }).send(inboundEvent(3));
  await ring(endpoint);
  expect(receiver.ids.toSorted()).toEqual(["evt_in_1", "evt_in_2", "evt_in_3"]);
});

it("knows what it took after a crash", async () => {
  const endpoint = await newEndpoint({ enabled: false });
  await new Sender(endpoint).send(inboundEvent(1), inboundEvent(2));
  await crash(endpoint);
  const { stub, who } = endpoint;
  const answer = await unwrap(
    stub.deliver(who, { source: { kind: "device", deviceId: "d".repeat(32) }, events: [] }),
  );
  expect(answer).toEqual({ highest: 2 });
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 2 });
});

it("refuses every call of another account, and a blank object writes nothing", async () => {
  const { stub, who } = await newEndpoint();
  const stranger = { ...who, accountId: who.accountId + 1 };
  const blank = blankEndpoint();
  for (const [target, caller, reason] of [
    [stub, stranger, "foreign"],
    [blank.stub, blank.who, "blank"],
  ] as const) {
    const refusal = { ok: false, error: { reason } };
    expect(await target.deliver(caller, batchOf(1, inboundEvent(1)))).toEqual(refusal);
    expect(await target.view(caller)).toEqual(refusal);
    expect(await target.configure(caller, settingsOf())).toEqual(refusal);
    expect(await target.rotateSecret(caller)).toEqual(refusal);
    expect(await target.sendTest(caller)).toEqual(refusal);
    expect(await target.replay(caller, { kind: "failed" }, null)).toEqual(refusal);
    expect(await target.attempts(caller, null)).toEqual(refusal);
    expect(await target.deadLetters(caller, null)).toEqual(refusal);
    expect(await target.forget(caller, ["evt_in_1"])).toEqual(refusal);
    expect(await target.poke(caller)).toEqual(refusal);
  }
  expect(await stub.install(stranger, settingsOf())).toMatchObject({ ok: false });
  expect(await stub.close(stranger)).toMatchObject({ ok: false });
  expect(await blank.stub.install(who, settingsOf()), "under another name").toMatchObject({
    error: { reason: "foreign" },
  });
  const tables = await runInDurableObject(blank.stub, (_, { storage }) =>
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .toArray(),
  );
  expect(tables).toEqual([]);
});

it("acknowledges types and devices that the endpoint did not choose, and posts none of them", async () => {
  const endpoint = await newEndpoint({
    body: { format: "json", types: ["message.inbound", "endpoint.disabled"] },
    devices: ["e".repeat(32)],
  });
  const chosen = new Sender(endpoint, { kind: "device", deviceId: "e".repeat(32) });
  expect(await chosen.send(statusEvent(1, "sent"), inboundEvent(1))).toBe(2);
  expect(await new Sender(endpoint).send(inboundEvent(2))).toBe(1);
  const trouble: WebhookEvent = {
    id: "evt_trouble",
    type: "endpoint.disabled",
    atMs: Date.now(),
    orderKey: ACCOUNT_ORDER_KEY,
    data: {
      endpoint: "f".repeat(32),
      url: "https://other.shop.co.id/",
      stage: "disabled",
      reason: "gone",
      failing_since: null,
    },
  };
  await new Sender(endpoint, { kind: "account" }).send(trouble);
  await ring(endpoint);
  expect(receiver.ids.toSorted()).toEqual(["evt_in_1", "evt_trouble"]);
});

it("puts an event it cannot read among the dead and goes on with the next", async () => {
  const alert = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const endpoint = await newEndpoint();
  const strange = { ...inboundEvent(1), type: "message.reaction" } as unknown as WebhookEvent;
  expect(await new Sender(endpoint).send(strange, inboundEvent(2))).toBe(2);
  await ring(endpoint);
  expect(receiver.ids).toEqual(["evt_in_2"]);
  expect(await deadOf(endpoint)).toMatchObject([{ reason: "malformed", replayable: false }]);
  expect(alert).toHaveBeenCalledOnce();
});

it("refuses addresses by a sentence, when it is made and when it is changed", async () => {
  const blank = blankEndpoint();
  const inside = settingsOf({ url: "https://169.254.169.254/latest" });
  expect(await blank.stub.install(blank.who, inside)).toEqual({
    ok: false,
    error: { reason: "url_refused", sentence: "The URL must name a host, not an IP address." },
  });
  const { stub, who } = await newEndpoint();
  expect(await stub.configure(who, settingsOf({ url: "http://hooks.shop.co.id/" }))).toMatchObject({
    error: { reason: "url_refused" },
  });
});

it("shows its secret once: a repeated install keeps the settings and answers none", async () => {
  const { stub, who } = await newEndpoint();
  const again = await unwrap(stub.install(who, settingsOf({ url: "https://other.shop.co.id/" })));
  expect(again).toMatchObject({ secret: null, view: { settings: { url: settingsOf().url } } });
});

it("moves the oldest waiting events to the dead letters when the queue is full, and says so", async () => {
  const endpoint = await newEndpoint({ enabled: false });
  const events = Array.from({ length: 8 }, (_, index) => inboundEvent(index));
  await fillWithBound(endpoint, 0, events, { eventsMax: 5, bytesMax: 1_000_000 });
  await crash(endpoint);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 5, dead: 3 });
  expect((await deadOf(endpoint)).map(({ eventId, reason }) => [eventId, reason])).toEqual([
    ["evt_in_0", "queue_full"],
    ["evt_in_1", "queue_full"],
    ["evt_in_2", "queue_full"],
  ]);
  await unwrap(endpoint.stub.configure(endpoint.who, settingsOf()));
  await ring(endpoint);
  expect(receiver.ids).toEqual([3, 4, 5, 6, 7].map((n) => `evt_in_${n}`));
});

it("keeps neither texts nor answers in a form that storage alone gives away", async () => {
  receiver.answer = ({ body }) => new Response(`you said ${body}`, { status: 500 });
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(inboundEvent(1));
  await ring(endpoint);
  const stored = await storedText(endpoint.stub);
  expect(stored).toContain("evt_in_1");
  expect(stored).not.toMatch(/selamat|you said|Budi/);
  const { items } = await unwrap(endpoint.stub.attempts(endpoint.who, null));
  expect(items[0]?.answer).toContain("selamat pagi");
});

it("forgets what its source forgot, in the queue, the dead letters and the answers", async () => {
  receiver.answer = ({ body }) => new Response(`you said ${body}`, { status: 500 });
  const endpoint = await newEndpoint();
  const { stub, who } = endpoint;
  await new Sender(endpoint).send(inboundEvent(1), inboundEvent(2));
  await ring(endpoint);
  receiver.answer = () => new Response("ok");
  await unwrap(stub.forget(who, ["evt_in_1", "evt_unknown"]));
  await ring(endpoint);
  expect(receiver.ids).toEqual(["evt_in_1", "evt_in_2"]);
  expect(await deadOf(endpoint)).toMatchObject([{ reason: "forgotten", replayable: false }]);
  const { items } = await unwrap(stub.attempts(who, null));
  expect(items.find(({ eventId }) => eventId === "evt_in_1")).toMatchObject({ answer: null });
});

it("forgets everything when it is closed, and refuses what comes after", async () => {
  const endpoint = await newEndpoint({ enabled: false });
  const { stub, who } = endpoint;
  const sender = new Sender(endpoint);
  await sender.send(inboundEvent(1));
  await unwrap(stub.close(who));
  await unwrap(stub.close(who));
  expect(await stub.deliver(who, batchOf(1, inboundEvent(1)))).toMatchObject({
    error: { reason: "blank" },
  });
  await ring(endpoint);
  const left = await runInDurableObject(stub, (_, { storage }) =>
    storage.sql
      .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .toArray(),
  );
  expect(left).toEqual([]);
  expect(receiver.deliveries).toEqual([]);
});

/** Everything the object's rows hold, bytes as text. */
async function storedText(stub: Parameters<typeof ring>[0]["stub"]): Promise<string> {
  return runInDurableObject(stub, (_, { storage }) =>
    ["endpoint", "events", "attempts", "notices"]
      .flatMap((table) => storage.sql.exec(`SELECT * FROM ${table}`).toArray())
      .flatMap((row) => Object.values(row))
      .map((value) =>
        value instanceof ArrayBuffer ? new TextDecoder().decode(value) : String(value),
      )
      .join("\n"),
  );
}
