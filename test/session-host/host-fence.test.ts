/**
 * The fence between keys and wire: nothing leaves without a durable key commit, nothing is acknowledged to
 * WhatsApp before its text is durable, and nobody but the recipient gets a text again.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { RetryCounts, RetryGuard } from "../../session-host/baileys/retry-guard.ts";
import { sendCommand, startRig } from "./support/rig.ts";
import type { Rig } from "./support/rig.ts";
import type { FakeDevice } from "./support/fake-device.ts";

let rig: Rig;
let device: FakeDevice;
beforeEach(async () => {
  rig = await startRig();
  device = rig.edge.addDevice();
  await rig.pair(device, phone);
});
afterEach(() => rig.close());

const phone = "6281200001111";
const contact = "6281200002222";
const stranger = "6281200003333";

interface Evidence {
  messagesById: Record<string, number>;
  keyReuses: number;
  decryptFailures: number;
  unexpected: unknown[];
  inbound: Record<string, { receipts: string[]; acks: string[]; sent: number }[]>;
}

async function evidence(): Promise<Evidence> {
  return (await rig.ask("/evidence")) as Evidence;
}

async function sent(text: string, messageId: number): Promise<string> {
  const command = sendCommand(messageId, contact, text);
  device.command(command);
  await device.fact("ack", ({ waId }) => waId === command.waId);
  return command.waId;
}

function acksOf(waId: string): number {
  return device.factsOf("ack").filter((fact) => fact.waId === waId).length;
}

function tagged(messageId: number): number {
  return device.commits.filter(({ forMessages }) =>
    forMessages.some((tag) => tag.messageId === messageId),
  ).length;
}

test("a refused key commit keeps every byte back and ends the session", async () => {
  await sent("pertama", 1);
  device.refuseCommit = ({ forMessages }) => forMessages.length > 0;
  const command = sendCommand(2, contact, "jangan keluar");
  device.command(command);
  expect(await device.fact("send_result", ({ messageId }) => messageId === 2)).toMatchObject({
    outcome: { kind: "not_sent", reason: "commit_refused" },
  });
  await device.fact("session", ({ state }) => state === "closed");
  expect((await evidence()).messagesById[command.waId]).toBeUndefined();
});

test("nothing leaves while the key commit is unanswered, and it leaves once it is acknowledged", async () => {
  await sent("pertama", 1);
  device.holdCommit = ({ forMessages }) => forMessages.length > 0;
  const command = sendCommand(2, contact, "menunggu");
  device.command(command);
  await device.until(() =>
    device.frames.some(
      (frame) => frame.t === "keys_commit" && frame.forMessages[0]?.messageId === 2,
    ),
  );
  expect((await evidence()).messagesById[command.waId]).toBeUndefined();
  device.releaseCommits();
  await device.fact("ack", ({ waId }) => waId === command.waId);
});

test("once contact and devices are known a message costs one key commit", async () => {
  await sent("satu", 1);
  await sent("dua", 2);
  const before = device.commits.length;
  await sent("tiga", 3);
  await sent("empat", 4);
  expect(
    device.commits
      .slice(before)
      .map(({ forMessages }) => forMessages.map(({ messageId }) => messageId)),
  ).toEqual([[3], [4]]);
  expect(tagged(3)).toBe(1);
});

test("the second attempt goes out again under the same WhatsApp id and the reader sees one text", async () => {
  const waId = await sent("sekali saja", 1);
  device.command(sendCommand(1, contact, "sekali saja", { attempt: 2, waId }));
  await device.until(() => acksOf(waId) === 2);
  expect((await evidence()).messagesById[waId]).toBe(2);
  expect((await evidence()).keyReuses).toBe(0);
});

test("nothing is asked of the device between the key commit and the wire", async () => {
  const waId = await sent("pertama kali", 1);
  const committed = device.frames.findIndex(
    (frame) => frame.t === "keys_commit" && frame.forMessages.length > 0,
  );
  const told = device.frames.findIndex(
    (frame) => frame.t === "facts" && JSON.stringify(frame.facts).includes(waId),
  );
  expect(committed).toBeGreaterThan(-1);
  expect(told).toBeGreaterThan(committed);
  const between = device.frames.slice(committed + 1, told).map(({ t }) => t);
  expect(between.filter((t) => t === "keys_get")).toEqual([]);
});

test("a text that came in is stored before WhatsApp hears a receipt", async () => {
  device.holdCommit = ({ inbound }) => inbound.length > 0;
  const { id } = (await rig.ask(`/phones/${contact}/send`, { to: phone, text: "pesan masuk" })) as {
    id: string;
  };
  await device.until(() =>
    device.frames.some((frame) => frame.t === "keys_commit" && frame.inbound.length > 0),
  );
  expect((await evidence()).inbound[id]).toEqual([
    expect.objectContaining({ receipts: [], acks: [] }),
  ]);
  device.releaseCommits();
  await rig.simulator.network.events.waitFor((event) => event.kind === "inbound_acked", 5_000);
  expect(device.inbound).toEqual([
    expect.objectContaining({
      waId: id,
      text: "pesan masuk",
      kind: "text",
      fromMe: false,
      offline: false,
    }),
  ]);
});

test("a bridge cut in the middle of a decryption leaves the text with WhatsApp, which delivers it again", async () => {
  device.cutAtCommit = ({ inbound }) => inbound.length > 0;
  device.refuseResume = 403;
  const { id } = (await rig.ask(`/phones/${contact}/send`, {
    to: phone,
    text: "tidak boleh hilang",
  })) as { id: string };
  await device.until(() => !device.connected);
  device.cutAtCommit = () => false;
  device.refuseResume = null;
  expect(device.inbound).toEqual([]);
  expect((await evidence()).inbound[id]).toEqual([
    expect.objectContaining({ receipts: [], acks: [] }),
  ]);
  await rig.edge.assign(device);
  await device.until(() => device.inbound.length > 0);
  expect(device.inbound[0]).toMatchObject({ waId: id, text: "tidak boleh hilang" });
  await rig.simulator.network.events.waitFor((event) => event.kind === "inbound_acked", 5_000);
});

test("a retry receipt of the real recipient gets the text again", async () => {
  await sent("pertama", 1);
  await rig.ask(`/phones/${contact}/forget-sessions`, {});
  const command = sendCommand(2, contact, "dibaca setelah ulang");
  device.texts.set(`${command.waId}|${contact}@s.whatsapp.net`, "dibaca setelah ulang");
  device.command(command);
  await device.fact(
    "receipt",
    ({ receipt, waIds }) => receipt === "delivered" && waIds.includes(command.waId),
  );
  expect(JSON.stringify(await rig.ask(`/messages?number=${contact}`))).toContain(
    "dibaca setelah ulang",
  );
});

test("a forged retry receipt of another contact makes nothing leave", async () => {
  const waId = await sent("kode rahasia 123456", 1);
  device.texts.set(`${waId}|${contact}@s.whatsapp.net`, "kode rahasia 123456");
  await sent("halo", 2);
  const { messagesById } = await evidence();
  await rig.ask(`/phones/${stranger}/forge-receipt`, {
    account: phone,
    id: waId,
    type: "retry",
    withKeys: true,
  });
  await device.until(() => device.questions.some((question) => question.waId === waId));
  await sent("sesudahnya", 3);
  const after = await evidence();
  expect(after.messagesById[waId]).toBe(messagesById[waId]);
  expect(JSON.stringify(await rig.ask(`/phones/${stranger}`))).not.toContain("kode rahasia");
  expect(after.unexpected).toEqual([]);
});

test("texts crossing in both directions never reuse a key, also when two devices write to one contact", async () => {
  const second = rig.edge.addDevice();
  await rig.pair(second, "6281200009999");
  await rig.ask(`/phones/${contact}`, { behaviour: { autoReply: "oke", autoReplyDelayMs: 1 } });
  for (let messageId = 1; messageId <= 15; messageId += 1) {
    device.command(sendCommand(messageId, contact, `dari satu ${messageId}`));
    second.command(sendCommand(messageId, contact, `dari dua ${messageId}`));
  }
  await device.until(() => device.factsOf("ack").length === 15 && device.inbound.length === 15);
  await second.until(() => second.factsOf("ack").length === 15 && second.inbound.length === 15);
  const { keyReuses, decryptFailures, unexpected } = await evidence();
  expect({ keyReuses, decryptFailures, unexpected }).toEqual({
    keyReuses: 0,
    decryptFailures: 0,
    unexpected: [],
  });
});

test("a recipient that cannot read a text gets it again five times, and not a sixth time", async () => {
  const waId = await sent("belum terbaca", 1);
  device.texts.set(`${waId}|${contact}@s.whatsapp.net`, "belum terbaca");
  for (let times = 1; times <= 6; times += 1) {
    const retry = { account: phone, id: waId, type: "retry", withKeys: true };
    await rig.ask(`/phones/${contact}/forge-receipt`, retry);
    await device.until(() => device.questions.length === times);
    await device.until(() => acksOf(waId) === 1 + Math.min(times, 5));
  }
  await sent("sesudahnya", 2);
  expect((await evidence()).messagesById[waId]).toBe(6);
});

test("a text that comes while another goes out to its writer costs no key, though neither has its session yet", async () => {
  await sent("pembuka", 1);
  await rig.ask(`/phones/${contact}/send`, { to: phone, text: "halo juga" });
  await device.until(() => device.inbound.length === 1);
  device.readDelayMs = 30;
  for (let round = 1; round <= 6; round += 1) {
    const opened = device.factsOf("drained").length;
    await rig.edge.assign(device);
    await device.until(() => device.factsOf("drained").length > opened);
    // Written at its number, it writes back from its LID.
    const writing = rig.ask(`/phones/${contact}/send`, { to: phone, text: `jawaban ${round}` });
    await Promise.all([writing, sent(`pesan ${round}`, round * 10)]);
    await device.until(() => device.inbound.length === 1 + round);
    await sent(`pesan lagi ${round}`, round * 10 + 1);
  }
  const { keyReuses, decryptFailures } = await evidence();
  expect({ keyReuses, decryptFailures }).toEqual({ keyReuses: 0, decryptFailures: 0 });
});

test("a retry is answered five times at most, to devices of that chat, one message at a time", async () => {
  const own = { phone: `${phone}:3@s.whatsapp.net`, lid: "777:3@lid" };
  const asked: string[] = [];
  const guard = new RetryGuard(
    {
      own: () => own,
      phoneOfLid: async () => `${contact}@s.whatsapp.net`,
      sentText: async (waId, chat, chatPhone) => {
        asked.push(chat);
        return chat === `${contact}@s.whatsapp.net` || chatPhone !== null ? waId : null;
      },
    },
    new RetryCounts(),
  );
  const ask = (attrs: Record<string, string>, list = false): Promise<boolean> =>
    guard.allows({
      tag: "receipt",
      attrs: { id: "A", type: "retry", ...attrs },
      content: [{ tag: list ? "list" : "retry", attrs: { id: "A", count: "1" } }],
    });
  const from = `${contact}@s.whatsapp.net`;
  expect(await ask({ from: `${stranger}@s.whatsapp.net` })).toBe(false);
  expect(await ask({ from, participant: `${stranger}@s.whatsapp.net` })).toBe(false);
  expect(await ask({ from }, true)).toBe(false);
  for (let times = 0; times < 5; times += 1) expect(await ask({ from })).toBe(true);
  expect(await ask({ from })).toBe(false);
  expect(await ask({ from: "555@lid" })).toBe(true);
  expect(await ask({ from: `${phone}@s.whatsapp.net`, recipient: from })).toBe(true);
  expect(asked.at(-1)).toBe(from);
});

test("a retry whose text the device could not be asked for is not refused: it stays with WhatsApp", async () => {
  const guard = new RetryGuard(
    {
      own: () => ({ phone: undefined, lid: undefined }),
      phoneOfLid: async () => null,
      sentText: () => Promise.reject(new Error("no answer")),
    },
    new RetryCounts(),
  );
  const node = {
    tag: "receipt",
    attrs: { id: "A", type: "retry", from: `${contact}@s.whatsapp.net` },
    content: [{ tag: "retry", attrs: { id: "A", count: "1" } }],
  };
  await expect(guard.allows(node)).rejects.toThrow("no answer");
});
