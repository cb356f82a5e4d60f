/** What becomes of an endpoint whose receiver fails for long, says that it is gone, or comes back. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import {
  ACCOUNT_ID,
  attemptsOf,
  crash,
  DAY_MS,
  deadOf,
  inboundEvent,
  newEndpoint,
  passTime,
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

async function accountEventsAbout({ who }: TestEndpoint): Promise<unknown[]> {
  const { results } = await env.DB.prepare(
    "SELECT type, data FROM account_events WHERE account_id = ? ORDER BY id",
  )
    .bind(ACCOUNT_ID)
    .all<{ type: string; data: string }>();
  return results
    .map(({ type, data }) => ({ type, ...(JSON.parse(data) as { endpoint: string }) }))
    .filter(({ endpoint }) => endpoint === who.endpointId);
}

it("warns after 96 h of nothing but failures and stops at 120 h; what waits is kept", async () => {
  receiver.answer = () => new Response("broken", { status: 500 });
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  await sender.send(statusEvent(1, "sent"));
  await ring(endpoint);
  for (let hour = 1; hour < 96; hour += 1) {
    if (hour % 24 === 0) await sender.send(statusEvent(hour, "sent"));
    await passTime(endpoint, HOUR_MS);
  }
  expect(await accountEventsAbout(endpoint)).toEqual([]);
  await sender.send(statusEvent(960, "sent"));
  await passTime(endpoint, HOUR_MS);
  expect(await accountEventsAbout(endpoint)).toMatchObject([
    { type: "endpoint.disabled", stage: "warning", failing_since: "2031-03-03T03:14:15.000Z" },
  ]);
  expect(await viewOf(endpoint)).toMatchObject({ disabled: null });
  await sender.send(statusEvent(961, "sent"));
  await passTime(endpoint, 24 * HOUR_MS);
  await ring(endpoint);
  expect(await accountEventsAbout(endpoint)).toMatchObject([
    { stage: "warning" },
    { stage: "disabled", reason: "failing" },
  ]);
  const { disabled, waiting } = await viewOf(endpoint);
  expect(disabled).toMatchObject({ reason: "failing" });
  expect(waiting).toBeGreaterThan(0);
  const before = receiver.deliveries.length;
  await sender.send(statusEvent(962, "sent"));
  await passTime(endpoint, 24 * HOUR_MS);
  expect(receiver.deliveries).toHaveLength(before);
  receiver.answer = () => new Response("ok");
  await unwrap(endpoint.stub.configure(endpoint.who, settingsOf()));
  await ring(endpoint);
  expect(await viewOf(endpoint)).toMatchObject({
    waiting: 0,
    disabled: null,
    failingSinceMs: null,
  });
  expect(receiver.ids).toContain("evt_962_sent");
});

it("goes on for as long as a delivery succeeds now and then", async () => {
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  receiver.answer = ({ id }) =>
    new Response("", { status: id.startsWith("evt_good") || id.includes("_in_") ? 200 : 500 });
  for (let hour = 0; hour < 150; hour += 10) {
    await sender.send(statusEvent(hour, "sent"));
    await ring(endpoint);
    await sender.send(inboundEvent(hour));
    await passTime(endpoint, 10 * HOUR_MS);
  }
  expect(await viewOf(endpoint)).toMatchObject({ disabled: null });
  expect(await accountEventsAbout(endpoint)).toEqual([]);
});

it("stops at once when the receiver says 410, and delivers that event when it is opened again", async () => {
  receiver.answer = () => new Response("", { status: 410 });
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"), statusEvent(1, "received"));
  await ring(endpoint);
  await passTime(endpoint, DAY_MS);
  expect(receiver.ids).toEqual(["evt_1_sent"]);
  expect(await viewOf(endpoint)).toMatchObject({ disabled: { reason: "gone" }, waiting: 2 });
  expect(await accountEventsAbout(endpoint)).toMatchObject([{ stage: "disabled", reason: "gone" }]);
  receiver.answer = () => new Response("");
  await unwrap(endpoint.stub.configure(endpoint.who, settingsOf()));
  await ring(endpoint);
  expect(receiver.ids.slice(1)).toEqual(["evt_1_sent", "evt_1_received"]);
});

it("tries what an outage held up as soon as one delivery succeeds, without losing a try", async () => {
  receiver.answer = () => Promise.reject(new TypeError("no such host"));
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  const count = 250;
  await sender.send(...Array.from({ length: count }, (_, n) => statusEvent(n, "sent")));
  for (let hour = 0; hour < 9; hour += 1) await passTime(endpoint, HOUR_MS);
  receiver.answer = ({ id }) => new Response("", { status: id === "evt_7_sent" ? 500 : 200 });
  receiver.deliveries.length = 0;
  await sender.send(statusEvent(1_000, "sent"));
  await ring(endpoint);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 1 });
  expect(receiver.ids.filter((id) => id === "evt_7_sent")).toHaveLength(1);
  await passTime(endpoint, 5 * HOUR_MS);
  expect(receiver.ids.filter((id) => id === "evt_7_sent")).toHaveLength(1);
  await passTime(endpoint, 0.6 * HOUR_MS);
  expect(receiver.ids.filter((id) => id === "evt_7_sent")).toHaveLength(2);
  // The fifth try failed in the outage, was made again after it, and is followed by the sixth.
  expect((await attemptsOf(endpoint)).at(-1)).toMatchObject({ eventId: "evt_7_sent", attempt: 6 });
});

it("leaves an event alone whose receiver named the time, also after an outage", async () => {
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  receiver.answer = () => new Response("", { status: 503, headers: { "retry-after": "7200" } });
  await sender.send(statusEvent(1, "sent"));
  await passTime(endpoint, HOUR_MS);
  receiver.answer = () => new Response("");
  await sender.send(statusEvent(2, "sent"));
  await ring(endpoint);
  expect(receiver.ids).toEqual(["evt_1_sent", "evt_2_sent"]);
  await passTime(endpoint, HOUR_MS);
  expect(receiver.ids).toEqual(["evt_1_sent", "evt_2_sent", "evt_1_sent"]);
});

it("keeps telling the account until the books have heard it, once", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  const batch = vi.spyOn(env.DB, "batch").mockRejectedValueOnce(new Error("D1 is away"));
  receiver.answer = () => new Response("", { status: 410 });
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  await crash(endpoint);
  await passTime(endpoint, 60_000);
  await passTime(endpoint, 60_000);
  expect(await accountEventsAbout(endpoint)).toHaveLength(1);
  batch.mockRestore();
});

it("forgets an event that is under way when its time comes as soon as its attempt has ended", async () => {
  receiver.answer = () => new Response("", { status: 500 });
  const endpoint = await newEndpoint({ retentionMs: 3 * DAY_MS });
  const sender = new Sender(endpoint);
  await sender.send(inboundEvent(1));
  await ring(endpoint);
  const { promise, resolve } = Promise.withResolvers<void>();
  receiver.answer = async () => {
    await promise;
    return new Response("", { status: 500 });
  };
  vi.setSystemTime(Date.now() + 3.3 * DAY_MS);
  await sender.send(statusEvent(1, "sent"));
  await vi.waitFor(() => expect(receiver.ids).toContain("evt_1_sent"));
  await ring(endpoint);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 2, dead: 0 });
  resolve();
  await passTime(endpoint, 10_000);
  expect(await deadOf(endpoint)).toMatchObject([{ eventId: "evt_in_1", reason: "expired" }]);
});

it("forgets texts and answers at the end of the account's retention, delivered or not", async () => {
  receiver.answer = ({ id, body }) => new Response(body, { status: id === "evt_in_2" ? 500 : 200 });
  const endpoint = await newEndpoint({ retentionMs: 3 * DAY_MS });
  await new Sender(endpoint).send(inboundEvent(1), inboundEvent(2, { from: "6281111111111" }));
  await ring(endpoint);
  await passTime(endpoint, 2 * DAY_MS);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 1, dead: 0 });
  await passTime(endpoint, 1.3 * DAY_MS);
  expect(await deadOf(endpoint)).toMatchObject([{ eventId: "evt_in_2", reason: "expired" }]);
  const { stub, who } = endpoint;
  expect(await unwrap(stub.replay(who, { kind: "failed" }, null))).toMatchObject({ queued: 0 });
  const answers = (await attemptsOf(endpoint)).map(({ answer }) => answer ?? "");
  expect(answers.join(" ")).not.toContain("Halo");
  await passTime(endpoint, 31 * DAY_MS);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0 });
});
