/** Test events, replays, and two secrets during a rotation. */
import { evictDurableObject } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ReplayReceipt, ReplayScope } from "../../src/endpoint/interface.ts";
import {
  crash,
  DAY_MS,
  fillWithBound,
  newEndpoint,
  passTime,
  Receiver,
  ring,
  Sender,
  START,
  statusEvent,
  type TestEndpoint,
  unwrap,
  viewOf,
} from "./endpoint-support.ts";

const HOUR_MS = 3_600_000;

let receiver: Receiver;

beforeEach(() => {
  vi.setSystemTime(START);
  receiver = new Receiver();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function replayAll({ stub, who }: TestEndpoint, scope: ReplayScope): Promise<number> {
  let queued = 0;
  let cursor: number | null = null;
  do {
    const receipt: ReplayReceipt = await unwrap(stub.replay(who, scope, cursor));
    queued += receipt.queued;
    cursor = receipt.nextCursor;
  } while (cursor !== null);
  return queued;
}

async function untilDead(endpoint: TestEndpoint, count: number): Promise<void> {
  while ((await viewOf(endpoint)).dead < count) await passTime(endpoint, HOUR_MS);
}

it("replays one event, a range of time, or all failed ones in their old order", async () => {
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  await sender.send(statusEvent(1, "sent"));
  await ring(endpoint);
  vi.setSystemTime(Date.parse(START) + HOUR_MS);
  await sender.send(statusEvent(2, "sent"), statusEvent(2, "received"));
  await ring(endpoint);
  receiver.deliveries.length = 0;

  expect(await replayAll(endpoint, { kind: "event", eventId: "evt_1_sent" })).toBe(1);
  await ring(endpoint);
  expect(receiver.ids.splice(0)).toEqual(["evt_1_sent"]);
  receiver.deliveries.length = 0;

  const fromMs = Date.parse(START) + 1;
  expect(await replayAll(endpoint, { kind: "range", fromMs, toMs: Date.now() })).toBe(2);
  await ring(endpoint);
  expect(receiver.ids).toEqual(["evt_2_sent", "evt_2_received"]);
  receiver.deliveries.length = 0;

  receiver.answer = () => new Response("", { status: 500 });
  await sender.send(statusEvent(3, "sent"), statusEvent(3, "received"), statusEvent(4, "sent"));
  await untilDead(endpoint, 2);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 1, dead: 2 });
  receiver.deliveries.length = 0;
  receiver.answer = () => new Response("");
  vi.setSystemTime(Date.now() + 60_000);
  expect(await replayAll(endpoint, { kind: "failed" })).toBe(2);
  await ring(endpoint);
  const ofThird = receiver.ids.filter((id) => id.startsWith("evt_3"));
  expect(ofThird).toEqual(["evt_3_sent", "evt_3_received"]);
  expect(receiver.ids).toContain("evt_4_sent");
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0 });
});

it("replays nothing that is unknown or waits anyway", async () => {
  const endpoint = await newEndpoint({ enabled: false });
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  expect(await replayAll(endpoint, { kind: "event", eventId: "evt_1_sent" })).toBe(0);
  expect(await replayAll(endpoint, { kind: "event", eventId: "evt_9_sent" })).toBe(0);
});

it("replays a long list a portion at a time, each once", async () => {
  const endpoint = await newEndpoint({ enabled: false });
  const count = 1_200;
  for (let first = 0; first < count; first += 400) {
    const events = Array.from({ length: 400 }, (_, n) => statusEvent(first + n, "sent"));
    await fillWithBound(endpoint, first, events, { eventsMax: 0, bytesMax: 0 });
  }
  await crash(endpoint);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: count });
  expect(await replayAll(endpoint, { kind: "failed" })).toBe(count);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: count, dead: 0 });
});

it("sends a test event in the receiver's own format, with exactly its keys", async () => {
  const bodies: string[][] = [];
  for (const body of [
    { format: "json", types: ["message.inbound"] },
    { format: "form", kind: "inbox" },
    { format: "form", kind: "tracking" },
  ] as const) {
    const endpoint = await newEndpoint({ body });
    const { eventId } = await unwrap(endpoint.stub.sendTest(endpoint.who));
    await ring(endpoint);
    const delivery = receiver.deliveries.at(-1);
    expect(delivery?.id).toBe(eventId);
    bodies.push(
      body.format === "json"
        ? Object.keys(JSON.parse(delivery?.body ?? "") as object)
        : [...new URLSearchParams(delivery?.body).keys()],
    );
  }
  expect(bodies).toEqual([
    ["type", "timestamp", "data"],
    ["waid", "message", "number"],
    ["id", "waid", "number", "status"],
  ]);
});

it("signs with both secrets for 24 h after a rotation, and then with the new one only", async () => {
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  const rotated = await unwrap(endpoint.stub.rotateSecret(endpoint.who));
  expect(rotated.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(rotated.secret).not.toBe(endpoint.secret);
  await evictDurableObject(endpoint.stub);
  await sender.send(statusEvent(1, "sent"));
  await ring(endpoint);
  expect(acceptedBy(endpoint.secret)).toBe(true);
  expect(acceptedBy(rotated.secret)).toBe(true);
  await passTime(endpoint, DAY_MS);
  expect(await viewOf(endpoint)).toMatchObject({ formerSecretUntilMs: null });
  await sender.send(statusEvent(2, "sent"));
  await ring(endpoint);
  expect(acceptedBy(endpoint.secret)).toBe(false);
  expect(acceptedBy(rotated.secret)).toBe(true);
});

function acceptedBy(secret: string): boolean {
  const delivery = receiver.deliveries.at(-1);
  try {
    new Webhook(secret).verify(delivery?.body ?? "", Object.fromEntries(delivery?.headers ?? []));
    return true;
  } catch {
    return false;
  }
}
