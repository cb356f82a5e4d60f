/** How one event reaches the receiver: body, signature, retries, order, and what each answer leads to. */
import { runInDurableObject } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import {
  attemptsOf,
  crash,
  deadOf,
  hangs,
  inboundEvent,
  newEndpoint,
  passTime,
  Receiver,
  ring,
  Sender,
  START,
  statusEvent,
  viewOf,
} from "./endpoint-support.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DELAYS_MS = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];

let receiver: Receiver;

beforeEach(() => {
  vi.setSystemTime(START);
  receiver = new Receiver();
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it("posts type, timestamp and data as JSON, signed so that the standard library verifies it", async () => {
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(inboundEvent(1));
  await ring(endpoint);
  const [delivery] = receiver.deliveries;
  expect(receiver.deliveries).toHaveLength(1);
  expect(new Webhook(endpoint.secret).verify(delivery?.body ?? "", headersOf(delivery))).toEqual({
    type: "message.inbound",
    timestamp: "2031-03-03T03:14:15.000Z",
    data: inboundEvent(1).data,
  });
  expect(delivery?.headers.get("user-agent")).toBe("Kabar/1 (+webhook)");
  expect(delivery?.redirect).toBe("manual");
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0, failingSinceMs: null });
});

it("gives a form receiver of statuses exactly the documented keys, and says the rest in headers", async () => {
  const endpoint = await newEndpoint({ body: { format: "form", kind: "tracking" } });
  await new Sender(endpoint).send(inboundEvent(1), statusEvent(41, "pending"));
  await ring(endpoint);
  const [delivery] = receiver.deliveries;
  expect(receiver.deliveries).toHaveLength(1);
  expect(delivery?.headers.get("content-type")).toBe("application/x-www-form-urlencoded");
  expect([...new URLSearchParams(delivery?.body)]).toEqual([
    ["id", "41"],
    ["waid", "ABC234"],
    ["number", "6281234567890"],
    ["status", "pending"],
  ]);
  expect(delivery?.headers.get("kabar-reason")).toBe("queued");
  expect(delivery?.headers.get("kabar-expected-at")).toBe("2026-11-22T10:00:00.000Z");
  new Webhook(endpoint.secret).verify(delivery?.body ?? "", headersOf(delivery), {
    jsonParse: false,
  });
});

it("gives a form receiver of texts exactly the documented keys, and media without a caption not at all", async () => {
  const endpoint = await newEndpoint({ body: { format: "form", kind: "inbox" } });
  await new Sender(endpoint).send(
    statusEvent(41, "sent"),
    inboundEvent(1),
    inboundEvent(2, { kind: "image", text: null }),
    inboundEvent(3, { from: null, lid: "99@lid" }),
  );
  await ring(endpoint);
  const forms = receiver.deliveries.map(({ body }) => [...new URLSearchParams(body)]);
  expect(forms).toEqual([
    [
      ["waid", "ABC234"],
      ["message", "Halo & selamat pagi, nomor 1 ☕"],
      ["number", "6281234567890"],
    ],
    [
      ["waid", "ABC234"],
      ["message", "Halo & selamat pagi, nomor 3 ☕"],
      ["number", ""],
    ],
  ]);
});

it("tries ten times by the schedule under one id, signed anew, and then keeps the event among the dead", async () => {
  receiver.answer = () => new Response("no", { status: 500 });
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  for (const [index, delayMs] of DELAYS_MS.entries()) {
    expect(receiver.deliveries).toHaveLength(index + 1);
    await passTime(endpoint, delayMs - 1);
    expect(receiver.deliveries, "never earlier than the schedule says").toHaveLength(index + 1);
    await passTime(endpoint, delayMs * 0.1 + 2);
  }
  expect(receiver.deliveries).toHaveLength(10);
  expect(new Set(receiver.ids)).toEqual(new Set(["evt_1_sent"]));
  const signed = receiver.deliveries.map(({ headers }) => headers.get("webhook-signature"));
  expect(new Set(signed).size).toBe(10);
  expect(await deadOf(endpoint)).toEqual([
    expect.objectContaining({
      eventId: "evt_1_sent",
      reason: "attempts_exhausted",
      attempts: 10,
      replayable: true,
    }),
  ]);
});

it("finds everything delivered after the receiver was down for seventy hours", async () => {
  receiver.answer = () => Promise.reject(new TypeError("no route"));
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  for (let hour = 0; hour < 70; hour += 1) {
    await sender.send(statusEvent(hour, "sent"), statusEvent(hour, "received"));
    await passTime(endpoint, HOUR_MS);
  }
  vi.setSystemTime(Date.now() + MINUTE_MS);
  receiver.answer = () => new Response("ok");
  receiver.deliveries.length = 0;
  await sender.send(statusEvent(99, "sent"));
  await ring(endpoint);
  expect(new Set(receiver.ids).size).toBe(141);
  for (let message = 0; message < 70; message += 1) {
    expect(receiver.ids.filter((id) => id.startsWith(`evt_${message}_`))).toEqual([
      `evt_${message}_sent`,
      `evt_${message}_received`,
    ]);
  }
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0 });
});

it("lets `received` wait while `sent` of that message is refused for ten minutes, and other messages go on", async () => {
  const refusedUntilMs = Date.now() + 10 * MINUTE_MS;
  receiver.answer = ({ id }) =>
    id === "evt_1_sent" && Date.now() < refusedUntilMs
      ? new Response("not now", { status: 500 })
      : new Response("ok");
  const endpoint = await newEndpoint();
  const sender = new Sender(endpoint);
  await sender.send(statusEvent(1, "sent"), statusEvent(1, "received"));
  await ring(endpoint);
  for (let minute = 1; minute <= 10; minute += 1) {
    await sender.send(statusEvent(100 + minute, "sent"), statusEvent(100 + minute, "received"));
    await passTime(endpoint, MINUTE_MS);
    expect(receiver.ids).toContain(`evt_${100 + minute}_received`);
    expect(receiver.ids).not.toContain("evt_1_received");
  }
  await passTime(endpoint, 40 * MINUTE_MS);
  const ofFirst = receiver.ids.filter((id) => id.startsWith("evt_1_"));
  expect(ofFirst.at(-2)).toBe("evt_1_sent");
  expect(ofFirst.at(-1)).toBe("evt_1_received");
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0 });
});

it("waits as long as Retry-After asks, up to a day", async () => {
  const asked = ["3600", new Date(Date.now() + 3 * HOUR_MS).toUTCString(), "999999999"];
  const endpoint = await newEndpoint();
  receiver.answer = ({ id }) => {
    const index = Number(id.split("_")[1]);
    return new Response("busy", {
      status: index === 1 ? 503 : 429,
      headers: { "retry-after": asked[index] ?? "" },
    });
  };
  await new Sender(endpoint).send(...asked.map((_, index) => statusEvent(index, "sent")));
  await ring(endpoint);
  const waits = (await attemptsOf(endpoint)).map(({ eventId, nextMs }) => [
    eventId,
    (nextMs ?? 0) - Date.now(),
  ]);
  expect(Object.fromEntries(waits)).toEqual({
    evt_0_sent: HOUR_MS,
    evt_1_sent: 3 * HOUR_MS,
    evt_2_sent: 24 * HOUR_MS,
  });
});

it("takes a redirect for a failure and never follows it", async () => {
  receiver.answer = () => Response.redirect("https://elsewhere.example.com/", 302);
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  expect(receiver.deliveries).toHaveLength(1);
  expect(await attemptsOf(endpoint)).toMatchObject([{ outcome: "refused", status: 302 }]);
});

it("keeps the first 4 KB of an answer of 10 MB and reads hardly more", async () => {
  let pulled = 0;
  receiver.answer = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull: (controller) => {
          pulled += 1;
          controller.enqueue(new Uint8Array(1_024).fill(120));
          if (pulled === 10_240) controller.close();
        },
      }),
    );
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  const [attempt] = await attemptsOf(endpoint);
  expect(attempt).toMatchObject({ outcome: "delivered", status: 200, answer: "x".repeat(4_096) });
  expect(pulled).toBeLessThan(10);
});

it("counts an answer that breaks off half way by its status", async () => {
  receiver.answer = () =>
    new Response(
      new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode("half")),
        pull: (controller) => controller.error(new TypeError("connection lost")),
      }),
    );
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  expect(await attemptsOf(endpoint)).toMatchObject([{ outcome: "delivered", answer: "half" }]);
});

it("hangs up on a silent receiver after 15 s, with at most four calls open and nothing lost", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"], now: Date.now() });
  receiver.answer = hangs;
  const endpoint = await newEndpoint();
  // A timer belongs to the object that set it: it must ring there.
  const advance = async (ms: number): Promise<void> =>
    runInDurableObject(endpoint.stub, () => {
      vi.advanceTimersByTime(ms);
    });
  await new Sender(endpoint).send(
    ...Array.from({ length: 10 }, (_, index) => statusEvent(index, "sent")),
  );
  expect(receiver.deliveries).toHaveLength(4);
  await advance(14_999);
  expect((await attemptsOf(endpoint)).map(({ outcome }) => outcome)).toEqual(
    Array.from({ length: 4 }, () => "running"),
  );
  await advance(1);
  expect((await attemptsOf(endpoint)).slice(0, 4)).toMatchObject(
    Array.from({ length: 4 }, () => ({ outcome: "timeout", durationMs: 15_000, status: null })),
  );
  expect(receiver.deliveries).toHaveLength(8);
  expect(receiver.openMax).toBe(4);
  receiver.answer = () => new Response("ok");
  await advance(15_000);
  vi.useRealTimers();
  vi.setSystemTime(Date.parse(START) + MINUTE_MS);
  await ring(endpoint);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0 });
  expect(new Set(receiver.ids).size).toBe(10);
});

it("delivers again what was under way when the object was restarted", async () => {
  const reached = Promise.withResolvers<void>();
  receiver.answer = async (delivery, signal) => {
    reached.resolve();
    return hangs(delivery, signal);
  };
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"), statusEvent(1, "received"));
  await reached.promise;
  receiver.answer = () => new Response("ok");
  await crash(endpoint);
  expect(await attemptsOf(endpoint)).toMatchObject([{ outcome: "interrupted" }]);
  await passTime(endpoint, 6_000);
  expect(receiver.ids).toEqual(["evt_1_sent", "evt_1_sent", "evt_1_received"]);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0, dead: 0 });
});

function headersOf(delivery: { headers: Headers } | undefined): Record<string, string> {
  return Object.fromEntries(delivery?.headers ?? []);
}
