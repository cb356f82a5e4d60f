/**
 * What a stranger on WhatsApp may try on a customer's phone: sessions swollen with skipped keys, ids that fit no
 * frame, receipts for nothing. The phone stays connected, and every other text goes through.
 */
import { afterEach, expect, test } from "vitest";
import { boundSession, SESSION_CHARS_MAX } from "../../session-host/baileys/session-size.ts";
import { writeText } from "../../session-host/simulator/message-text.ts";
import { sealFor, startOver } from "../../session-host/simulator/sealing.ts";
import { sendText } from "../../session-host/simulator/texts.ts";
import { whatsAppId } from "../../src/bridge/wire.ts";
import type { FakeDevice } from "./support/fake-device.ts";
import { sendCommand, startRig } from "./support/rig.ts";
import type { Rig } from "./support/rig.ts";

const phone = "6281200001111";
const contact = "6281200002222";
const stranger = "6281200003333";
/** As libsignal names it in its records. */
const CHAINS = "_chains";
const LONG_ID = `3A${"F".repeat(140)}`;

let rig: Rig;
let device: FakeDevice;
afterEach(() => rig.close());

async function start(more: { commitTimeoutMs?: number } = {}): Promise<void> {
  rig = await startRig(more);
  device = rig.edge.addDevice();
  await rig.pair(device, phone);
}

async function write(from: string, text: string): Promise<void> {
  const { network } = rig.simulator;
  const [writer, reader] = [network.directory.phone(from), network.directory.phone(phone)];
  await sendText(network, writer, reader, text);
}

async function arrived(text: string): Promise<void> {
  await device.until(() => device.inbound.some((inbound) => inbound.text === text));
}

/** The stranger's next text comes after so many that never come. */
async function skip(count: number, anew: boolean): Promise<void> {
  const { network } = rig.simulator;
  const reader = network.directory.phone(phone);
  const [linked] = reader.linked.values();
  if (linked === undefined) throw new Error("the phone has no companion");
  const author = { phone: network.directory.phone(stranger), device: 0 };
  if (anew) await startOver(network, author, { phone: reader, linked }, undefined);
  for (let sealed = 0; sealed < count; sealed += 1)
    await sealFor(network, author, { phone: reader, linked }, writeText("x"));
}

test.each([
  ["one session after the other", true],
  ["one and the same session", false],
])(
  "%s filled with skipped keys stays small, and the contact is still read and answered",
  async (_, anew) => {
    await start();
    await write(stranger, "halo");
    await arrived("halo");
    for (const text of ["lompat 1", "lompat 2", "lompat 3", "lompat 4"]) {
      await skip(1_900, anew);
      await write(stranger, text);
      await arrived(text);
    }
    const sizes = [...device.rows.values()]
      .filter(({ type }) => type === "session")
      .map(({ value }) => value?.length ?? 0);
    expect(Math.max(...sizes)).toBeGreaterThan(50_000);
    expect(Math.max(...sizes)).toBeLessThan((SESSION_CHARS_MAX * 4) / 3 + 1_000);
    const command = sendCommand(1, stranger, "jawaban");
    device.command(command);
    await device.fact("receipt", ({ waIds }) => waIds.includes(command.waId));
    await write(stranger, "terima kasih");
    await arrived("terima kasih");
    expect(device.factsOf("session").filter(({ state }) => state === "closed")).toHaveLength(1);
    expect(await rig.ask("/evidence")).toMatchObject({ keyReuses: 0, decryptFailures: 0 });
  },
  60_000,
);

test("a text under an id that fits no frame is acknowledged once and left out, the next one arrives", async () => {
  await start();
  const { network } = rig.simulator;
  const closes = device.factsOf("session").filter(({ state }) => state === "closed").length;
  const draw = network.newId.bind(network);
  network.newId = (prefix) => (prefix === "3A" ? LONG_ID : draw(prefix));
  const acknowledged = network.events.waitFor((event) => event.kind === "inbound_acked", 5_000);
  await write(stranger, "racun");
  network.newId = draw;
  await acknowledged;
  await write(contact, "pesan biasa");
  await arrived("pesan biasa");
  expect(device.inbound.map(({ text }) => text)).toEqual(["pesan biasa"]);
  expect(device.factsOf("session").filter(({ state }) => state === "closed")).toHaveLength(closes);
  expect(device.opened).toBe(1);
});

test("receipts and retries for ids that fit no frame never reach the device", async () => {
  await start();
  for (const type of ["read", "retry", "delivered"])
    for (let times = 0; times < 8; times += 1)
      await rig.ask(`/phones/${stranger}/forge-receipt`, { account: phone, id: LONG_ID, type });
  await rig.ask(`/phones/${contact}/forge-receipt`, { account: phone, id: "3EB0A", type: "read" });
  await device.fact("receipt", ({ waIds }) => waIds.includes("3EB0A"));
  const ids = device.factsOf("receipt").flatMap(({ waIds }) => waIds);
  expect(ids.filter((id) => !whatsAppId.safeParse(id).success)).toEqual([]);
  expect(device.questions).toEqual([]);
  expect(device.opened).toBe(1);
});

test("a key commit that is never answered ends the session, and nothing is claimed of its message", async () => {
  await start({ commitTimeoutMs: 300 });
  device.holdCommit = ({ forMessages }) => forMessages.length > 0;
  device.command(sendCommand(1, contact, "tanpa jawaban"));
  // Nobody has to look at the keys: another epoch goes on with them.
  expect(await device.fact("session", ({ state }) => state === "closed")).toMatchObject({
    reason: "lost",
    byWhatsApp: false,
  });
  await device.until(() => device.frames.some(({ t }) => t === "goodbye"));
  expect(device.factsOf("send_result")).toEqual([]);
});

test("a session record is trimmed from its oldest end, and one that cannot be is given up", () => {
  const session = (closed: number, keys: number, ended = false) => ({
    indexInfo: { closed, used: 1 },
    [CHAINS]: {
      a: {
        chainKey: { counter: keys, ...(ended ? {} : { key: "k" }) },
        chainType: 2,
        messageKeys: Object.fromEntries(
          Array.from({ length: keys }, (__, counter) => [counter, "m".repeat(44)]),
        ),
      },
    },
  });
  const record = (sessions: object): string =>
    JSON.stringify({ _sessions: sessions, version: "v1" });
  const small = record({ one: session(-1, 10) });
  expect(boundSession(small)).toEqual({ json: small, trimmed: false });

  const sessionsOf = (json: string | null): Record<string, ReturnType<typeof session>> =>
    Object.values(JSON.parse(json ?? "[]"))[0] as Record<string, ReturnType<typeof session>>;
  const chainsOf = (json: string | null) => sessionsOf(json)["open"]?.[CHAINS];
  const older = record({ open: session(-1, 800), young: session(9, 800), old: session(5, 1_900) });
  expect(Object.keys(sessionsOf(boundSession(older).json))).toEqual(["open", "young"]);

  const single = chainsOf(boundSession(record({ open: session(-1, 6_000) })).json)?.a;
  const counters = Object.keys(single?.messageKeys ?? {}).map(Number);
  expect(Math.max(...counters)).toBe(5_999);
  expect(Math.min(...counters)).toBeGreaterThan(3_000);
  expect(single?.chainKey).toEqual({ counter: 6_000, key: "k" });

  const ended = boundSession(record({ open: session(-1, 6_000, true) }));
  expect(chainsOf(ended.json)).toEqual({});

  const hopeless = JSON.stringify({ _sessions: {}, other: "x".repeat(SESSION_CHARS_MAX) });
  expect(boundSession(hopeless)).toEqual({ json: null, trimmed: true });
});
