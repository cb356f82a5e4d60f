/**
 * WhatsApp's lock on new chats (463): texts to strangers wait, known chats go on, WhatsApp is asked until when and not too often,
 * the account hears of it. Hosts are scripted.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { configure, inboundText } from "./device-events-support.ts";
import type { ScriptedHost } from "./device-host.ts";
import {
  connect,
  enqueue,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  statusOf,
  unwrap,
  type TestDevice,
} from "./device-support.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const KNOWN = "6281234500001";
const stranger = (n: number): string => `62812345010${String(n).padStart(2, "0")}`;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

async function writingPhone(): Promise<{ device: TestDevice; host: ScriptedHost }> {
  const device = await newDevice();
  await configure(device, [], { keepsEvents: true });
  const host = await pairedHost(device);
  await sendThrough(device, host, KNOWN);
  return { device, host };
}

/** One text that WhatsApp takes. */
async function sendThrough(device: TestDevice, host: ScriptedHost, to: string): Promise<void> {
  await enqueue(device, messageTo(to));
  const command = await host.command("send");
  expect(command.to).toBe(to);
  await host.commitFor(command);
  await host.ack(command);
}

/** WhatsApp refuses a text to somebody new. Answers when; the host has been asked. */
async function refuseNewChat(device: TestDevice, host: ScriptedHost, to = stranger(0)) {
  await enqueue(device, messageTo(to));
  const command = await host.command("send");
  await host.commitFor(command);
  await host.ack(command, 463);
  return Date.now();
}

async function restrictedUntil(device: TestDevice): Promise<number | null> {
  return (await unwrap(device.stub.view(device.identity))).restrictedUntilMs;
}

async function told(device: TestDevice): Promise<{ reason: unknown; until: unknown }[]> {
  const { events } = await unwrap(device.stub.events(device.identity, 0, 100));
  return events.flatMap(({ event }) =>
    event.type === "device.restricted"
      ? [{ reason: event.data.reason, until: event.data.until }]
      : [],
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Commands that came and were not taken. */
function kindsHere(host: ScriptedHost): string[] {
  return host
    .here("command")
    .map((frame) => (frame.t === "command" ? frame.command.kind : frame.t));
}

describe("after a 463", () => {
  it("texts to strangers wait and texts to known numbers go", async () => {
    const { device, host } = await writingPhone();
    const atMs = await refuseNewChat(device, host);
    await host.command("ask_restriction");
    const held = messageTo(stranger(1), { expiresMs: atMs + 48 * HOUR_MS });
    await enqueue(device, held);
    await sendThrough(device, host, KNOWN);
    expect(await statusOf(device, held.id)).toBe("pending: account_restricted");
    expect(await restrictedUntil(device)).toBe(atMs + 24 * HOUR_MS);
    const queue = await unwrap(device.stub.queueView(device.identity, 10));
    expect(queue.messages).toMatchObject([{ id: held.id, reason: "account_restricted" }]);
    expect(kindsHere(host)).toEqual([]);
  });

  it("a stranger who writes is known, and what waited for him goes", async () => {
    const { device, host } = await writingPhone();
    await refuseNewChat(device, host);
    await host.command("ask_restriction");
    const held = messageTo(stranger(1), { expiresMs: Date.now() + 48 * HOUR_MS });
    await enqueue(device, held);
    await host.commit({ inbound: [inboundText({ chat: `${stranger(1)}@s.whatsapp.net` })] });
    expect((await host.command("send")).to).toBe(stranger(1));
  });

  it("what was accepted before and comes due later waits as well", async () => {
    const { device, host } = await writingPhone();
    const dueMs = Date.now() + HOUR_MS;
    const [later, known] = [
      messageTo(stranger(2), { dueMs, expiresMs: dueMs + 48 * HOUR_MS }),
      messageTo(KNOWN, { dueMs }),
    ];
    await enqueue(device, later, known);
    await refuseNewChat(device, host);
    await host.command("ask_restriction");
    await passTime(device, HOUR_MS + 1_000);
    expect((await host.take("command")).command).toMatchObject({ kind: "ask_restriction" });
    expect((await host.command("send")).to).toBe(KNOWN);
    expect(await statusOf(device, later.id)).toBe("pending: account_restricted");
  });

  it("a text that would be over before the lock is refused at once", async () => {
    const { device, host } = await writingPhone();
    const atMs = await refuseNewChat(device, host);
    const otp = messageTo(stranger(3), { category: "otp", expiresMs: atMs + 5 * MINUTE_MS });
    expect(await enqueue(device, otp)).toEqual([
      { id: otp.id, status: "cancel", reason: "account_restricted" },
    ]);
    const toKnown = messageTo(KNOWN, { category: "otp", expiresMs: atMs + 5 * MINUTE_MS });
    expect(await enqueue(device, toKnown)).toMatchObject([{ status: "pending" }]);
  });

  it("the account hears once, then of the end when WhatsApp names it, then that it is over", async () => {
    const { device, host } = await writingPhone();
    const untilMs = Date.now() + 6 * HOUR_MS;
    await refuseNewChat(device, host);
    await host.fact({ kind: "restricted", untilMs: null });
    expect(await told(device)).toEqual([{ reason: null, until: null }]);
    await host.fact({ kind: "restricted", untilMs });
    await host.fact({ kind: "restricted", untilMs });
    await host.fact({ kind: "restricted", untilMs: null });
    expect(await restrictedUntil(device)).toBe(untilMs);
    expect(await told(device)).toEqual([
      { reason: null, until: null },
      { reason: null, until: iso(untilMs) },
    ]);
    await host.fact({ kind: "unrestricted" });
    expect(await restrictedUntil(device)).toBeNull();
    expect((await told(device)).at(-1)).toEqual({ reason: "lifted", until: iso(Date.now()) });
  });

  it("a 463 for a text that is not ours changes nothing", async () => {
    const { device, host } = await writingPhone();
    await host.fact({ kind: "ack", waId: "3EB0FF", to: `${KNOWN}@s.whatsapp.net`, error: 463 });
    expect(await restrictedUntil(device)).toBeNull();
  });
});

describe("WhatsApp is asked", () => {
  it("at once, then every quarter of an hour while it names no end, over restarts too", async () => {
    const { device, host } = await writingPhone();
    await refuseNewChat(device, host);
    await host.command("ask_restriction");
    await host.fact({ kind: "restricted", untilMs: null });
    await passTime(device, 14 * MINUTE_MS);
    expect(kindsHere(host)).toEqual([]);
    await restart(device);
    await passTime(device, MINUTE_MS + 1_000);
    await host.command("ask_restriction");
  });

  it("never twice within a minute, however often it refuses", async () => {
    const { device, host } = await writingPhone();
    await refuseNewChat(device, host);
    await host.command("ask_restriction");
    await host.fact({ kind: "unrestricted" });
    vi.setSystemTime(Date.now() + 10_000);
    await refuseNewChat(device, host, stranger(1));
    expect(kindsHere(host)).toEqual([]);
    await passTime(device, 51_000);
    await host.command("ask_restriction");
  });

  it("not between, when it has named the end, and once more at that end before anything is tried", async () => {
    const { device, host } = await writingPhone();
    const untilMs = Date.now() + 2 * HOUR_MS;
    await refuseNewChat(device, host);
    await host.command("ask_restriction");
    await host.fact({ kind: "restricted", untilMs });
    const held = messageTo(stranger(1));
    await enqueue(device, held);
    await passTime(device, HOUR_MS);
    expect(kindsHere(host)).toEqual([]);
    await passTime(device, HOUR_MS + 1);
    await host.command("ask_restriction");
    expect(kindsHere(host)).toEqual([]);
    await host.fact({ kind: "restricted", untilMs: untilMs + HOUR_MS });
    expect(await restrictedUntil(device)).toBe(untilMs + HOUR_MS);
    expect(kindsHere(host)).toEqual([]);
    await passTime(device, HOUR_MS);
    await host.command("ask_restriction");
    await host.fact({ kind: "unrestricted" });
    expect((await host.command("send")).to).toBe(stranger(1));
  });

  it("in vain at the end: then time alone lifts the lock", async () => {
    const { device, host } = await writingPhone();
    await refuseNewChat(device, host);
    await host.command("ask_restriction");
    await host.fact({ kind: "restricted", untilMs: Date.now() + HOUR_MS });
    const held = messageTo(stranger(1));
    await enqueue(device, held);
    await passTime(device, HOUR_MS + 1);
    await host.command("ask_restriction");
    expect(kindsHere(host)).toEqual([]);
    await passTime(device, 31_000);
    expect((await host.command("send")).to).toBe(stranger(1));
    expect(await restrictedUntil(device)).toBeNull();
  });

  it("when the phone is back, if the end passed while it was away", async () => {
    const { device, host } = await writingPhone();
    await refuseNewChat(device, host);
    await host.fact({ kind: "restricted", untilMs: Date.now() + HOUR_MS });
    await host.closeSession("lost", { retryAtMs: Date.now() + 1_000, byWhatsApp: false });
    const held = messageTo(stranger(1));
    await enqueue(device, held);
    await passTime(device, 2 * HOUR_MS);
    const other = await connect(device);
    await other.open();
    await other.command("ask_restriction");
    expect(kindsHere(other)).toEqual([]);
    await other.fact({ kind: "unrestricted" });
    expect((await other.command("send")).to).toBe(stranger(1));
  });

  it("is not believed for an hour when it said free and refused again", async () => {
    const { device, host } = await writingPhone();
    await refuseNewChat(device, host);
    await host.command("ask_restriction");
    await host.fact({ kind: "unrestricted" });
    vi.setSystemTime(Date.now() + 5 * MINUTE_MS);
    await refuseNewChat(device, host, stranger(1));
    await host.fact({ kind: "unrestricted" });
    expect(await restrictedUntil(device)).not.toBeNull();
    vi.setSystemTime(Date.now() + HOUR_MS);
    await host.fact({ kind: "unrestricted" });
    expect(await restrictedUntil(device)).toBeNull();
  });
});

describe("another phone", () => {
  it("has its own chats and no lock", async () => {
    const { device, host } = await writingPhone();
    await refuseNewChat(device, host);
    await host.closeSession("logged_out", { code: 401 });
    const other = await pairedHost(device, "6281100000099");
    expect(await restrictedUntil(device)).toBeNull();
    await refuseNewChat(device, other, stranger(1));
    const waits = messageTo(KNOWN, { expiresMs: Date.now() + 48 * HOUR_MS });
    await enqueue(device, waits);
    expect(await statusOf(device, waits.id)).toBe("pending: account_restricted");
  });
});
