/** The fence of the wire: key commits in sequence, whole or not at all, and texts stored with them once. */
import { expect, it } from "vitest";
import type { InboundMessage } from "../../src/bridge/device-frames.ts";
import {
  CONTACT,
  counter,
  enqueue,
  messageTo,
  newDevice,
  pairedHost,
  resume,
  rowsOf,
  statusOf,
  type TestDevice,
  unwrap,
} from "./device-support.ts";

const session = (id: string, value: string) => ({ type: "session" as const, id, value });

function text(over: Partial<InboundMessage> = {}): InboundMessage {
  return {
    waId: "INBOUND1",
    chat: `${CONTACT}@s.whatsapp.net`,
    chatAlt: null,
    fromMe: false,
    pushName: "Budi",
    sentAtMs: 1_800_000_000_000,
    kind: "text",
    text: "terima kasih",
    offline: false,
    ...over,
  };
}

const inboundOf = async (device: TestDevice) =>
  rowsOf<{ sender: string; wa_id: string }>(
    device,
    "SELECT sender, wa_id FROM inbound ORDER BY wa_id",
  );

it("a commit out of sequence is refused and stores nothing", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const last = 2;
  expect(await host.commit({ seq: last + 2, rows: [session("a", "1")] })).toBe("gap");
  expect(await rowsOf(device, "SELECT 1 FROM session_rows WHERE id = 'a'")).toEqual([]);
  expect(await host.commit({ seq: last + 1, rows: [session("a", "1")] })).toBe("committed");
});

it("an older commit is acknowledged without being applied", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.commit({ rows: [session("a", "1")] });
  await host.commit({ rows: [session("a", "2")] });
  expect(await host.commit({ seq: 3, rows: [session("a", "1")] })).toBe("committed");
  expect(await rowsOf(device, "SELECT value FROM session_rows WHERE id = 'a'")).toEqual([
    { value: "2" },
  ]);
});

it("a pre-key is never overwritten with another value", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const preKey = (value: string | null) => ({ type: "pre-key" as const, id: "7", value });
  expect(await host.commit({ rows: [preKey("one"), session("b", "1")] })).toBe("committed");
  expect(await host.commit({ rows: [preKey("one")] })).toBe("committed");
  expect(await host.commit({ rows: [preKey("two"), session("b", "2")] })).toBe("pre_key_conflict");
  expect(await rowsOf(device, "SELECT value FROM session_rows WHERE id = 'b'")).toEqual([
    { value: "1" },
  ]);
  expect(await host.commit({ rows: [preKey(null)] })).toBe("committed");
  expect(await host.commit({ rows: [preKey("two")] })).toBe("committed");
});

it("keys are read one by one, and a missing one is proved absent", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.commit({
    rows: [session("a", "1"), session("b", "2"), { type: "lid-mapping", id: "x", value: "y" }],
  });
  await host.commit({ rows: [{ type: "session", id: "b", value: null }] });
  host.say({
    t: "keys_get",
    id: 5,
    keys: [
      { type: "session", ids: ["a", "b", "c"] },
      { type: "lid-mapping", ids: ["x"] },
    ],
  });
  const answer = await host.take("keys_rows");
  expect(answer).toEqual({
    t: "keys_rows",
    id: 5,
    rows: [session("a", "1"), { type: "lid-mapping", id: "x", value: "y" }],
  });
});

it("a welcome brings creds and small rows, and leaves the rest to be asked for", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.commit({
    rows: [
      { type: "app-state-sync-version", id: "regular", value: "v" },
      { type: "pre-key", id: "1", value: "p" },
    ],
  });
  const back = await resume(device, host);
  expect(back.welcome?.rows.map(({ type }) => type).toSorted()).toEqual([
    "app-state-sync-version",
    "creds",
  ]);
});

it("a commit for a message that is not in the host's hands is refused whole", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await host.command("send");
  const tooFar = { messageId: message.id, attempt: 2 };
  expect(await host.commit({ rows: [session("a", "1")], forMessages: [tooFar] })).toBe(
    "epoch_over",
  );
  const unknown = { messageId: 12_345, attempt: 1 };
  expect(await host.commit({ rows: [session("a", "1")], forMessages: [unknown] })).toBe(
    "epoch_over",
  );
  expect(await rowsOf(device, "SELECT 1 FROM session_rows WHERE id = 'a'")).toEqual([]);
  expect(await host.commitFor(command)).toBe("committed");
  expect(await host.commitFor(command)).toBe("epoch_over");
  expect(await counter(device, "keys_refused")).toBe(3);
});

it("a message that was rejected meanwhile never leaves", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const message = messageTo();
  await enqueue(device, message);
  const command = await host.command("send");
  await host.closeSession("banned");
  expect(await statusOf(device, message.id)).toBe("reject: banned");
  expect(await host.commitFor(command)).toBe("epoch_over");
});

it("an inbound text is stored once, whichever address of its sender it comes under", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const lid = "555000@lid";
  await host.commit({ inbound: [text({ chatAlt: lid }), text({ chatAlt: lid })] });
  await host.commit({ inbound: [text({ chat: lid })] });
  await host.commit({
    inbound: [text({ chat: lid, chatAlt: `${CONTACT}@s.whatsapp.net`, offline: true })],
  });
  expect(await inboundOf(device)).toEqual([{ sender: CONTACT, wa_id: "INBOUND1" }]);
  const { texts } = await unwrap(device.stub.inbound(device.identity, null, 10));
  expect(texts).toMatchObject([{ phone: CONTACT, text: "terima kasih" }]);
  await host.commit({
    inbound: [text({ chat: "6289999999999@s.whatsapp.net" }), text({ waId: "INBOUND2" })],
  });
  expect(await inboundOf(device)).toHaveLength(3);
});

it("a text known by its LID alone is not stored again once the number is named", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.commit({ inbound: [text({ chat: "555001@lid" })] });
  await host.commit({
    inbound: [text({ chat: "555001@lid", chatAlt: `${CONTACT}@s.whatsapp.net` })],
  });
  expect(await inboundOf(device)).toHaveLength(1);
});

it("a frame that makes no sense is counted, and a fact among them is never asked for again", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  host.sayRaw(
    JSON.stringify({ t: "facts", first: host.factN + 1, facts: [{ kind: "from the future" }] }),
  );
  expect((await host.take("fact_ack")).n).toBe(host.factN + 1);
  host.sayRaw("{not json");
  await host.fact({ kind: "drained" }, host.factN + 2);
  expect(await counter(device, "frame_malformed")).toBe(2);
  for (let sent = 0; sent < 20; sent += 1) host.sayRaw("nonsense");
  expect(await host.untilClosed()).toBe(4002);
  expect(await unwrap(device.stub.view(device.identity))).toMatchObject({ status: "connected" });
});

it("a frame that cannot be read but asks for an answer is refused at once", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const rows = [session("a.0", "x".repeat(400_001))];
  host.sayRaw(JSON.stringify({ t: "keys_commit", seq: 3, rows, forMessages: [], inbound: [] }));
  expect(await host.take("keys_refused")).toEqual({
    t: "keys_refused",
    seq: 3,
    reason: "unreadable",
  });
  const inbound = [text({ waId: "F".repeat(142) })];
  expect(await host.commit({ seq: 3, inbound })).toBe("unreadable");
  host.sayRaw(JSON.stringify({ t: "keys_get", id: 7, keys: [{ type: "session", ids: [""] }] }));
  expect((await host.take("keys_error")).id).toBe(7);
  host.sayRaw(JSON.stringify({ t: "message_get", id: 8, waId: "", chat: "", chatPhone: null }));
  expect(await host.take("message")).toMatchObject({ id: 8, text: null });
  expect(await host.commit({ seq: 3, inbound: [text()] })).toBe("committed");
  expect(await counter(device, "frame_malformed")).toBe(4);
});

it("facts that cannot be read never close the bridge, however many", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const from = host.factN + 1;
  for (let n = from; n < from + 30; n += 1) {
    host.sayRaw(JSON.stringify({ t: "facts", first: n, facts: [{ kind: "unknown" }] }));
  }
  await host.fact({ kind: "drained" }, from + 30);
  expect(host.closed).toBeNull();
});
