/**
 * When a phone is left alone: the circuit breaker, what pauses it at once, who resumes it, and what the next host hears of the
 * attempts before. Hosts are scripted; events are what the account would read.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { configure } from "./device-events-support.ts";
import type { ScriptedHost } from "./device-host.ts";
import {
  connect,
  enqueue,
  knock,
  messageTo,
  newBoot,
  newDevice,
  pairedHost,
  passTime,
  restart,
  rowsOf,
  statusOf,
  ticketFor,
  unwrap,
  type TestDevice,
} from "./device-support.ts";

const MINUTE_MS = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function pairedDevice(): Promise<{ device: TestDevice; host: ScriptedHost }> {
  const device = await newDevice();
  await configure(device, [], { keepsEvents: true });
  return { device, host: await pairedHost(device) };
}

async function view(device: TestDevice) {
  return unwrap(device.stub.view(device.identity));
}

/** Type and reason of what the account was told about the phone. */
async function told(device: TestDevice): Promise<string[]> {
  const { events } = await unwrap(device.stub.events(device.identity, 0, 100));
  return events.flatMap(({ event }) =>
    event.type.startsWith("device.") && "reason" in event.data
      ? [`${event.type} ${event.data.reason ?? ""}`.trim()]
      : [],
  );
}

/** WhatsApp closes the open connection, the host comes back. */
async function closeAndReopen(host: ScriptedHost, byWhatsApp = true): Promise<void> {
  await host.closeSession("lost", { code: 503, byWhatsApp, retryAtMs: Date.now() + 1_000 });
  await host.connecting();
  await host.open();
}

function alertsHeard(): { message: string; reason?: string }[] {
  const alerts: { message: string; reason?: string }[] = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => {
    alerts.push(JSON.parse(line) as { message: string; reason?: string });
  });
  return alerts;
}

describe("the circuit breaker", () => {
  it("pauses a phone whose open connection WhatsApp closed five times in an hour, and says so once", async () => {
    const alerts = alertsHeard();
    const { device, host } = await pairedDevice();
    for (let close = 1; close < 5; close += 1) {
      await closeAndReopen(host);
      vi.setSystemTime(Date.now() + MINUTE_MS);
    }
    expect(await view(device)).toMatchObject({ status: "connected", pausedReason: null });
    await host.closeSession("lost", { code: 503, retryAtMs: Date.now() + 1_000 });
    expect(await view(device)).toMatchObject({ status: "paused", pausedReason: "unstable" });
    expect((await host.take("revoked")).reason).toBe("shutdown");
    expect(await told(device)).toContain("device.paused unstable");
    expect(alerts).toMatchObject([{ message: "session needs a person", reason: "unstable" }]);
  });

  it("keeps the queue, takes new messages, and lets no host in meanwhile", async () => {
    alertsHeard();
    const { device, host } = await pairedDevice();
    for (let close = 1; close <= 5; close += 1) {
      if (close < 5) await closeAndReopen(host);
      else await host.closeSession("lost", { retryAtMs: Date.now() + 1_000 });
    }
    const message = messageTo();
    await enqueue(device, message);
    expect(await statusOf(device, message.id)).toBe("pending: device_offline");
    const boot = newBoot();
    const { ticket } = await ticketFor(device, boot);
    expect((await knock(device, boot, { ticket })).status).toBe(409);
    await passTime(device, 10 * MINUTE_MS);
    expect(await view(device)).toMatchObject({ status: "paused" });
  });

  it("does not count what WhatsApp did not do, attempts that never opened, nor closes of an hour ago", async () => {
    const { device, host } = await pairedDevice();
    for (let close = 1; close <= 8; close += 1) await closeAndReopen(host, false);
    await host.closeSession("lost", { byWhatsApp: false, retryAtMs: Date.now() + 1_000 });
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      await host.connecting();
      await host.closeSession("lost", { code: 408, retryAtMs: Date.now() + 1_000 });
    }
    await host.open();
    for (let close = 1; close <= 8; close += 1) {
      await closeAndReopen(host);
      vi.setSystemTime(Date.now() + 16 * MINUTE_MS);
    }
    expect(await view(device)).toMatchObject({ status: "connected" });
  });

  it("counts over hosts and over restarts of the object", async () => {
    alertsHeard();
    const { device, host } = await pairedDevice();
    for (let close = 1; close <= 3; close += 1) await closeAndReopen(host);
    await restart(device);
    const other = await connect(device);
    await other.open();
    await closeAndReopen(other);
    await other.closeSession("lost", { retryAtMs: Date.now() + 1_000 });
    expect(await view(device)).toMatchObject({ status: "paused", pausedReason: "unstable" });
  });
});

describe("a paused phone", () => {
  async function pausedDevice(): Promise<TestDevice> {
    alertsHeard();
    const { device, host } = await pairedDevice();
    await host.closeSession("blocked", { code: 411 });
    expect(await view(device)).toMatchObject({ status: "paused", pausedReason: "blocked" });
    return device;
  }

  it("is tried again when it is resumed: asks for a host, logs in, and sends what waited", async () => {
    const device = await pausedDevice();
    const message = messageTo();
    await enqueue(device, message);
    const resumed = await unwrap(device.stub.resume(device.identity));
    expect(resumed).toMatchObject({ status: "reconnecting", pausedReason: null });
    const host = await connect(device);
    expect(host.welcome).toMatchObject({ pairing: "paired" });
    await host.open();
    const command = await host.command("send");
    await host.commitFor(command);
    await host.ack(command);
    expect(await statusOf(device, message.id)).toBe("sent");
    expect(await told(device)).toContain("device.connected");
  });

  it("starts its count of closes anew when it is resumed", async () => {
    const device = await pausedDevice();
    await unwrap(device.stub.resume(device.identity));
    const host = await connect(device);
    await host.open();
    for (let close = 1; close <= 4; close += 1) await closeAndReopen(host);
    expect(await view(device)).toMatchObject({ status: "connected" });
  });

  it("is resumed only while it is paused, and only by its own account", async () => {
    const device = await pausedDevice();
    const foreign = { ...device.identity, accountId: device.identity.accountId + 1 };
    expect(await device.stub.resume(foreign)).toEqual({ ok: false, error: { reason: "foreign" } });
    await unwrap(device.stub.resume(device.identity));
    expect(await device.stub.resume(device.identity)).toEqual({
      ok: false,
      error: { reason: "not_paused" },
    });
  });

  it("can be unpaired, and then be paired anew", async () => {
    const device = await pausedDevice();
    await unwrap(device.stub.unpair(device.identity));
    expect(await view(device)).toMatchObject({ status: "unpaired", pausedReason: null });
    await unwrap(device.stub.pair(device.identity, null));
    expect(await view(device)).toMatchObject({ status: "pairing" });
  });
});

describe("what pauses a phone at once", () => {
  it("is being replaced again after its one try", async () => {
    const alerts = alertsHeard();
    const { device, host } = await pairedDevice();
    await host.closeSession("replaced", { code: 440, retryAtMs: Date.now() + 1_000 });
    expect(await view(device)).toMatchObject({ status: "reconnecting" });
    await host.connecting();
    await host.open();
    await host.closeSession("replaced", { code: 440 });
    expect(await view(device)).toMatchObject({ status: "paused", pausedReason: "replaced" });
    expect(await told(device)).toContain("device.paused replaced");
    expect(alerts).toHaveLength(1);
  });

  it("is a refused client, without an alert of its own; the phone comes back by itself with another host", async () => {
    const alerts = alertsHeard();
    const { device, host } = await pairedDevice();
    await host.closeSession("client_outdated", { code: 405, retryAtMs: Date.now() });
    expect(await view(device)).toMatchObject({ status: "paused", pausedReason: "client_outdated" });
    expect(alerts).toEqual([]);
    const other = await connect(device);
    await other.connecting();
    expect(await view(device)).toMatchObject({ status: "paused" });
    await other.open();
    expect(await view(device)).toMatchObject({ status: "connected", pausedReason: null });
  });
});

describe("the next host", () => {
  it("hears how long ago connections were tried, the last ten within ten minutes", async () => {
    const { device, host } = await pairedDevice();
    await host.closeSession("lost", { retryAtMs: Date.now() });
    const startMs = Date.now();
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      await host.connecting();
      vi.setSystemTime(startMs + attempt * 5_000);
    }
    const soon = await connect(device);
    const agoMs = [10, 9, 8, 7, 6, 5, 4, 3, 2, 1].map((times) => times * 5_000);
    expect(soon.welcome?.attemptsAgoMs).toEqual(agoMs);
    vi.setSystemTime(Date.now() + 10 * MINUTE_MS);
    expect((await connect(device)).welcome?.attemptsAgoMs).toEqual([]);
    expect(await rowsOf(device, "SELECT json_array_length(attempts) AS n FROM device")).toEqual([
      { n: 10 },
    ]);
  });
});
