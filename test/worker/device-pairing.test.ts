/** How a phone comes to a device and leaves it, and what that means for keys and the queue. */
import { env } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { DeviceStatus } from "../../src/device/interface.ts";
import { OWN_PHONE } from "./device-host.ts";
import {
  connect,
  CONTACT,
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  resume,
  rowsOf,
  scannedHost,
  statusOf,
  type TestDevice,
  unwrap,
  untilBooked,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

const DAY_MS = 24 * 3_600_000;
const view = async (device: TestDevice) => unwrap(device.stub.view(device.identity));
const keysOf = async (device: TestDevice) =>
  rowsOf(device, "SELECT generation FROM session_rows GROUP BY generation");

it("a second pair returns the running QR, and the QR is gone when it is over", async () => {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, null));
  const host = await connect(device);
  await host.command("pair");
  const expiresAtMs = Date.now() + 20_000;
  await host.fact({ kind: "qr", qr: "2@one", expiresAtMs });
  const running = {
    waid: "ABC234",
    status: "pairing",
    phone: null,
    pausedReason: null,
    restrictedUntilMs: null,
    pairing: { qr: "2@one", code: null, expiresAtMs },
  };
  expect(await unwrap(device.stub.pair(device.identity, null))).toEqual(running);
  expect(host.here("command")).toEqual([]);
  vi.setSystemTime(expiresAtMs);
  expect((await view(device)).pairing).toBeNull();
});

it("pairing by code passes the number on and shows the code", async () => {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, OWN_PHONE));
  const host = await connect(device);
  expect(await host.command("pair")).toEqual({ kind: "pair", phone: OWN_PHONE });
  await host.fact({ kind: "pairing_code", code: "ABCD1234", expiresAtMs: Date.now() + 60_000 });
  expect((await view(device)).pairing).toMatchObject({ qr: null, code: "ABCD1234" });
});

it("pair on a connected device is refused", async () => {
  const device = await newDevice();
  await pairedHost(device);
  expect(await device.stub.pair(device.identity, null)).toEqual({
    ok: false,
    error: { reason: "already_paired" },
  });
});

it("a run nobody scans ends, and the device may be paired anew", async () => {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, null));
  const host = await connect(device);
  await host.command("pair");
  await host.commit({ rows: [{ type: "creds", id: "creds", value: "unused" }] });
  await host.closeSession("pairing_expired");
  expect((await host.take("revoked")).reason).toBe("unpaired");
  expect(await view(device)).toMatchObject({ status: "unpaired" });
  await unwrap(device.stub.pair(device.identity, null));
  const next = await connect(device);
  expect(next.welcome).toMatchObject({
    pairing: "unpaired",
    generation: (host.welcome?.generation ?? 0) + 1,
  });
  expect(await next.command("pair")).toEqual({ kind: "pair", phone: null });
  await passTime(device, 600_000);
  expect(await view(device)).toMatchObject({ status: "unpaired" });
});

it("another host that takes over in the middle of a run starts it afresh", async () => {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, null));
  const host = await connect(device);
  await host.command("pair");
  await host.commit({ rows: [{ type: "creds", id: "creds", value: "half" }] });
  await host.fact({ kind: "qr", qr: "2@one", expiresAtMs: Date.now() + 20_000 });
  const next = await connect(device);
  expect((await view(device)).pairing).toBeNull();
  expect(next.welcome).toMatchObject({ pairing: "unpaired", rows: [] });
  expect(next.welcome?.generation).not.toBe(host.welcome?.generation);
  expect(await next.command("pair")).toEqual({ kind: "pair", phone: null });
});

it("a resume in the middle of a run does not start it twice", async () => {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, null));
  const host = await connect(device);
  await host.command("pair");
  const back = await resume(device, host);
  await back.fact({ kind: "qr", qr: "2@one", expiresAtMs: Date.now() + 20_000 });
  expect(back.here("command")).toEqual([]);
  const deaf = await resume(device, back, 0);
  expect(await deaf.command("pair")).toEqual({ kind: "pair", phone: null });
});

it("the phone is greeted once after a scan and not after a reconnect", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.closeSession("lost");
  expect(await view(device)).toMatchObject({ status: "reconnecting" });
  await host.open();
  const next = await connect(device);
  await next.open();
  await next.fact({ kind: "drained" });
  expect(host.here("command")).toEqual([]);
  expect(next.here("command")).toEqual([]);
});

it("a log-out keeps the queue, archives the keys and drops them after 7 days", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.closeSession("logged_out");
  expect((await host.take("revoked")).reason).toBe("unpaired");
  expect(await view(device)).toMatchObject({ status: "logged_out", phone: OWN_PHONE });
  const message = messageTo(CONTACT, { expiresMs: Date.now() + 30 * DAY_MS });
  await enqueue(device, message);
  expect(await statusOf(device, message.id)).toBe("pending: device_offline");
  expect(await keysOf(device)).toEqual([{ generation: 1 }]);
  await passTime(device, 6 * DAY_MS);
  expect(await keysOf(device)).toEqual([{ generation: 1 }]);
  await passTime(device, 1.3 * DAY_MS);
  expect(await keysOf(device)).toEqual([]);
});

it("the same phone paired again gets what waited", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await host.closeSession("logged_out");
  const message = messageTo();
  await enqueue(device, message);
  const again = await scannedHost(device);
  const sent = [await again.command("send"), await again.command("send")];
  expect(sent.map(({ to }) => to).toSorted()).toEqual([OWN_PHONE, CONTACT].toSorted());
});

it("another phone paired does not send what waited for the first, and its hold is given back", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const inHand = messageTo("6281234500009");
  await holdInBooks(device, inHand);
  await enqueue(device, inHand);
  await host.command("send");
  await host.closeSession("logged_out");
  const waiting = messageTo();
  await holdInBooks(device, waiting);
  await enqueue(device, waiting);
  const other = await scannedHost(device, "6281199999999");
  expect(await other.command("send")).toMatchObject({ to: "6281199999999" });
  expect(other.here("command")).toEqual([]);
  for (const { id } of [inHand, waiting]) {
    expect(await statusOf(device, id)).toBe("cancel: device_repaired");
    await untilBooked(id, ["hold", "void"]);
  }
});

it("unpairing a connected device logs it out first, and then takes its keys", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  expect(await unwrap(device.stub.unpair(device.identity))).toMatchObject({ status: "unpaired" });
  expect(await host.command("unlink")).toEqual({ kind: "unlink" });
  const message = messageTo();
  await enqueue(device, message);
  expect(host.here("command")).toEqual([]);
  await host.closeSession("logged_out");
  expect((await host.take("revoked")).reason).toBe("unpaired");
  expect(await view(device)).toMatchObject({ status: "unpaired" });
  expect(await device.stub.unpair(device.identity)).toEqual({
    ok: false,
    error: { reason: "not_paired" },
  });
  const again = await scannedHost(device);
  expect(again.welcome).toMatchObject({ pairing: "unpaired", generation: 2 });
});

it("a host that does not log out in time loses the keys", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  await unwrap(device.stub.unpair(device.identity));
  await host.command("unlink");
  const back = await resume(device, host, 0);
  expect(await back.command("unlink")).toEqual({ kind: "unlink" });
  await passTime(device, 30_000);
  expect((await back.take("revoked")).reason).toBe("unpaired");
  expect(await back.commit({ rows: [] })).toBe("epoch_over");
});

it("a banned number rejects what waits and what is in hand", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const nowMs = Date.now();
  const inHand = messageTo();
  const later = messageTo("6281234500001", {
    dueMs: nowMs + DAY_MS,
    expiresMs: nowMs + 2 * DAY_MS,
  });
  for (const message of [inHand, later]) await holdInBooks(device, message);
  await enqueue(device, inHand, later);
  await host.command("send");
  await host.closeSession("banned");
  expect(await view(device)).toMatchObject({ status: "banned" });
  for (const { id } of [inHand, later]) {
    expect(await statusOf(device, id)).toBe("reject: banned");
    await untilBooked(id, ["hold", "void"]);
  }
});

it("D1 hears of each status, and of a short loss of the bridge only when it lasts", async () => {
  const device = await newDevice();
  const { deviceId, accountId, waid } = device.identity;
  await env.DB.prepare(
    "INSERT INTO devices (id, waid, account_id, name, created_ms) VALUES (?, ?, ?, 'a phone', 0)",
  )
    .bind(deviceId, waid, accountId)
    .run();
  const mirrored = async (status: DeviceStatus, phone: string | null) =>
    vi.waitFor(async () => {
      const row = await env.DB.prepare("SELECT status, phone FROM devices WHERE id = ?")
        .bind(deviceId)
        .first();
      expect(row).toEqual({ status, phone });
    });
  await unwrap(device.stub.pair(device.identity, null));
  await mirrored("pairing", null);
  const host = await scannedHost(device);
  await mirrored("connected", OWN_PHONE);
  await host.closeSession("lost");
  await mirrored("connected", OWN_PHONE);
  await passTime(device, 15_000);
  await mirrored("reconnecting", OWN_PHONE);
  await host.closeSession("logged_out");
  await mirrored("logged_out", OWN_PHONE);
});
