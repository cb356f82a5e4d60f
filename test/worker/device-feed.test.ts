/** Events on their way to an endpoint that cannot be reached, was closed, or lost what it had; and what comes in. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import {
  configure,
  dataOf,
  deviceWithEndpoint,
  inboundText,
  typesOf,
} from "./device-events-support.ts";
import {
  CONTACT,
  enqueue,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  rowsOf,
  unwrap,
} from "./device-support.ts";
import { DAY_MS, newEndpoint, Receiver } from "./endpoint-support.ts";

const LID = "777000222@lid";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** `lost`: before the endpoint has it; `unanswered`: after. */
function breakDeliver(how: "lost" | "unanswered"): { calls: number } {
  const seen = { calls: 0 };
  setSaboteur(async (crossing, call) => {
    if (crossing.name !== "endpoint.deliver") return call();
    seen.calls += 1;
    if (how === "unanswered") await call();
    throw new Error("the wire broke");
  });
  return seen;
}

it.each(["lost", "unanswered"] as const)(
  "events wait for an endpoint whose calls are %s, and arrive once when it is back, also after a restart",
  async (how) => {
    const receiver = new Receiver();
    const { device } = await deviceWithEndpoint();
    const host = await pairedHost(device);
    await vi.waitFor(() => expect(typesOf(receiver)).toHaveLength(2));
    const seen = breakDeliver(how);
    const texts = Array.from({ length: 30 }, (_, at) => inboundText({ text: `pesan ${at}` }));
    await host.commit({ inbound: texts });
    await vi.waitFor(() => expect(seen.calls).toBeGreaterThan(0));
    for (let round = 0; round < 3; round += 1) await passTime(device, 10_000);
    expect(seen.calls).toBeLessThan(12);
    setSaboteur(null);
    await restart(device);
    await host.commit({ inbound: [inboundText({ text: "pesan 30" })] });
    await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(31));
    await passTime(device, 301_000);
    expect(dataOf(receiver, "message.inbound").map(({ text }) => text)).toEqual(
      Array.from({ length: 31 }, (_, at) => `pesan ${at}`),
    );
    expect(new Set(receiver.ids).size).toBe(receiver.ids.length);
  },
);

it("more events than one call takes arrive in portions", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  const seen = breakDeliver("lost");
  for (let part = 0; part < 8; part += 1) {
    await host.commit({ inbound: Array.from({ length: 64 }, () => inboundText()) });
  }
  await vi.waitFor(() => expect(seen.calls).toBeGreaterThan(0));
  setSaboteur(null);
  await passTime(device, 301_000);
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(512), {
    timeout: 15_000,
  });
  expect(new Set(receiver.ids).size).toBe(receiver.ids.length);
}, 20_000);

it("an endpoint that was closed is forgotten at once", async () => {
  const { device, endpoint } = await deviceWithEndpoint();
  await unwrap(endpoint.stub.close(endpoint.who));
  await pairedHost(device);
  await vi.waitFor(async () => expect(await rowsOf(device, "SELECT 1 FROM feeds")).toEqual([]));
});

it("a text is told once with its sender; what was typed on the phone is kept and never told", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  const text = inboundText({ chatAlt: LID });
  await host.commit({ inbound: [text] });
  await host.commit({ inbound: [{ ...text, offline: true }] });
  await host.commit({ inbound: [inboundText({ fromMe: true, text: "dari toko" })] });
  await host.commit({ inbound: [inboundText({ kind: "image", text: "nota" })] });
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(2));
  expect(dataOf(receiver, "message.inbound")).toMatchObject([
    { from: CONTACT, lid: LID, name: "Budi", kind: "text", text: text.text },
    { from: CONTACT, kind: "image", text: "nota" },
  ]);
  const { texts, nextBefore } = await unwrap(device.stub.inbound(device.identity, null, 2));
  expect(texts.map(({ fromMe, phone, kind }) => [fromMe, phone, kind])).toEqual([
    [false, CONTACT, "image"],
    [true, CONTACT, "text"],
  ]);
  const rest = await unwrap(device.stub.inbound(device.identity, nextBefore, 2));
  expect(rest).toMatchObject({ texts: [{ phone: CONTACT, text: text.text }], nextBefore: null });
});

it("a text whose sender is known by LID only waits for the number, ten seconds at most and once", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  await enqueue(device, messageTo());
  const command = await host.command("send");
  await host.commitFor(command);
  await host.commit({ inbound: [inboundText({ chat: LID })] });
  await host.fact({
    kind: "receipt",
    receipt: "delivered",
    waIds: [command.waId],
    chat: LID,
    chatPhone: `${CONTACT}@s.whatsapp.net`,
    atMs: Date.now(),
  });
  await passTime(device, 1_001);
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(1));
  expect(dataOf(receiver, "message.inbound")).toMatchObject([{ from: CONTACT, lid: LID }]);

  await host.commit({ inbound: [inboundText({ chat: "999@lid" })] });
  await passTime(device, 9_000);
  expect(dataOf(receiver, "message.inbound")).toHaveLength(1);
  await passTime(device, 1_001);
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(2));
  await passTime(device, 5_000);
  await host.commit({ inbound: [inboundText({ chat: "999@lid" })] });
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(3));
  expect(dataOf(receiver, "message.inbound")[2]).toMatchObject({ from: null, lid: "999@lid" });
});

it("a number that becomes known later is filled in for the texts that came before it", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  const lid = "888000111@lid";
  await host.commit({ inbound: [inboundText({ chat: lid, text: "siapa ini" })] });
  await passTime(device, 10_001);
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(1));
  expect(dataOf(receiver, "message.inbound")).toMatchObject([{ from: null, lid }]);

  const chatAlt = `${CONTACT}@s.whatsapp.net`;
  await host.commit({ inbound: [inboundText({ chat: lid, chatAlt, text: "ini saya" })] });
  const { texts } = await unwrap(device.stub.inbound(device.identity, null, 10));
  expect(texts.map(({ text, phone }) => [text, phone])).toEqual([
    ["ini saya", CONTACT],
    ["siapa ini", CONTACT],
  ]);
  const { events } = await unwrap(device.stub.events(device.identity, 0, 10));
  const told = events.flatMap(({ event }) =>
    event.type === "message.inbound" ? [[event.data.from, event.orderKey]] : [],
  );
  // Both stay in one chat, whose order key is the same as before.
  expect(told).toEqual([
    [CONTACT, `chat:${device.identity.waid}:${lid}`],
    [CONTACT, `chat:${device.identity.waid}:${lid}`],
  ]);
});

it("texts of those whom the customer chose not to keep leave nothing", async () => {
  const receiver = new Receiver();
  const device = await newDevice();
  const endpoint = await newEndpoint();
  const host = await pairedHost(device);
  const stored = async () => rowsOf(device, "SELECT sender, body FROM inbound ORDER BY n");
  await configure(device, [endpoint], { textsKept: "nobody" });
  await host.commit({ inbound: [inboundText(), inboundText({ fromMe: true })] });
  expect(await stored()).toEqual([]);

  const [before, after, typed] = ["6281234500011", "6281234500012", "6281234500013"];
  await enqueue(device, messageTo(before));
  await configure(device, [endpoint], { textsKept: "written_to" });
  await enqueue(device, messageTo(after));
  const from = (number: string) => inboundText({ chat: `${number}@s.whatsapp.net` });
  await host.commit({
    inbound: [from(CONTACT), from(before), from(after), from(typed)],
  });
  await host.commit({ inbound: [{ ...from(typed), fromMe: true }] });
  await host.commit({ inbound: [from(typed)] });
  expect((await stored()).map(({ sender }) => sender)).toEqual([
    before,
    after,
    `me>${typed}`,
    typed,
  ]);
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(3));
});

it("after the account's time nothing of a text is left, and its repetition is still known", async () => {
  const receiver = new Receiver();
  const device = await newDevice();
  const endpoint = await newEndpoint();
  await configure(device, [endpoint], { textsKeptMs: 3 * DAY_MS });
  const host = await pairedHost(device);
  const text = inboundText({ text: "rahasia besar" });
  await host.commit({ inbound: [text] });
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(1));
  const left = async () =>
    rowsOf(device, "SELECT 1 FROM inbound WHERE body LIKE '%rahasia%' OR push_name IS NOT NULL");
  await passTime(device, 2.5 * DAY_MS);
  expect(await left()).toHaveLength(1);
  await passTime(device, 0.6 * DAY_MS);
  expect(await left()).toEqual([]);
  await host.commit({ inbound: [text] });
  expect(await left()).toEqual([]);
  await passTime(device, 36 * DAY_MS);
  expect(await rowsOf(device, "SELECT sender, chat FROM inbound")).toEqual([
    { sender: "", chat: "" },
  ]);
});

it("a deleted device keeps no text once its endpoints have heard", async () => {
  const receiver = new Receiver();
  const { device } = await deviceWithEndpoint();
  const host = await pairedHost(device);
  await host.commit({ inbound: [inboundText()] });
  await vi.waitFor(() => expect(dataOf(receiver, "message.inbound")).toHaveLength(1));
  await unwrap(device.stub.close(device.identity));
  await passTime(device, 31_000);
  await passTime(device, 6 * 3_600_000 + 1);
  expect(await rowsOf(device, "SELECT 1 FROM inbound WHERE body IS NOT NULL")).toEqual([]);
  expect(await rowsOf(device, "SELECT 1 FROM outbox WHERE body IS NOT NULL")).toEqual([]);
});
