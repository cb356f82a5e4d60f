/** Whom a device answers: nobody while it is blank, then only the account it was installed for. */
import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { Device } from "../../src/device/device.ts";
import type { DeviceIdentity, DeviceRpc } from "../../src/device/interface.ts";
import {
  blankDevice,
  connect,
  knock,
  messageTo,
  newBoot,
  newDevice,
  ticketFor,
  unwrap,
} from "./device-support.ts";

afterEach(() => vi.useRealTimers());

type Ask = (device: DeviceRpc, who: DeviceIdentity) => Promise<{ ok: boolean; error?: unknown }>;

const asks: Record<string, Ask> = {
  enqueue: (device, who) => device.enqueue(who, [messageTo()]),
  abandon: (device, who) => device.abandon(who, [1]),
  cancel: (device, who) => device.cancel(who, [1], "customer"),
  view: (device, who) => device.view(who),
  pair: (device, who) => device.pair(who, null),
  unpair: (device, who) => device.unpair(who),
  resume: (device, who) => device.resume(who),
  message: (device, who) => device.message(who, 1),
  checkBalanceWindow: (device, who) => device.checkBalanceWindow(who, 1),
};

it("a blank device refuses every call and every host, and writes nothing", async () => {
  const { identity, stub } = blankDevice();
  const boot = newBoot();
  for (const ask of Object.values(asks)) {
    expect(await ask(stub, identity)).toEqual({ ok: false, error: { reason: "blank" } });
  }
  expect(await stub.mintTicket({ placementId: 1, ...boot })).toMatchObject({
    error: { reason: "blank" },
  });
  expect(await stub.poke()).toMatchObject({ error: { reason: "blank" } });
  expect(await stub.dismiss(boot.hostId)).toMatchObject({ error: { reason: "blank" } });
  expect((await knock({ identity, stub }, boot, { ticket: "x" })).status).toBe(403);
  const stored = await runInDurableObject(stub, async (_device: Device, state) => ({
    tables: state.storage.sql
      .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
      .toArray(),
    alarm: await state.storage.getAlarm(),
  }));
  expect(stored).toEqual({ tables: [], alarm: null });
});

for (const [name, ask] of Object.entries(asks)) {
  it(`${name} is refused to another account and under another device's name`, async () => {
    const { identity, stub } = await newDevice();
    const foreign = { ok: false, error: { reason: "foreign" } };
    expect(await ask(stub, { ...identity, accountId: identity.accountId + 1 })).toEqual(foreign);
    expect(await ask(stub, { ...identity, deviceId: "0".repeat(32) })).toEqual(foreign);
  });
}

it("installing again changes nothing, and another account is refused", async () => {
  const { identity, stub } = await newDevice();
  const nothing = { phone: null, pausedReason: null, restrictedUntilMs: null, pairing: null };
  const view = { waid: identity.waid, status: "unpaired", ...nothing };
  expect(await stub.install(identity)).toEqual({ ok: true, value: view });
  expect(await stub.install({ ...identity, accountId: 99 })).toMatchObject({
    error: { reason: "foreign" },
  });
  expect(await stub.install(identity)).toEqual({ ok: true, value: view });
});

it("an object cannot be installed under a name that is not its own", async () => {
  const { stub, identity } = blankDevice();
  const named = { ...identity, deviceId: "f".repeat(32) };
  expect(await stub.install(named)).toMatchObject({ error: { reason: "foreign" } });
});

it("a balance check succeeds once per key in 15 minutes, and a refusal does not extend the wait", async () => {
  const { identity, stub } = await newDevice();
  const check = async (keyId: number) => unwrap(stub.checkBalanceWindow(identity, keyId));
  vi.setSystemTime(1_900_000_000_000);
  expect(await check(1)).toEqual({ allowed: true });
  vi.setSystemTime(1_900_000_600_000);
  expect(await check(1)).toEqual({ allowed: false, retryAfterMs: 300_000 });
  expect(await check(2)).toEqual({ allowed: true });
  vi.setSystemTime(1_900_000_900_000);
  expect(await check(1)).toEqual({ allowed: true });
});

it("a host's upgrade needs the device's own path, a WebSocket and its secrets", async () => {
  const device = await newDevice();
  await unwrap(device.stub.pair(device.identity, null));
  const boot = newBoot();
  const { ticket } = await ticketFor(device, boot);
  const url = `https://gateway.test/bridge/devices/${device.identity.deviceId}`;
  const headers = {
    upgrade: "websocket",
    "x-kabar-host": boot.hostId,
    "x-kabar-boot": boot.bootId,
  };
  expect((await device.stub.fetch(url)).status).toBe(426);
  expect((await device.stub.fetch(url, { headers })).status).toBe(401);
  const elsewhere = `https://gateway.test/bridge/devices/${"0".repeat(32)}`;
  expect(
    (await device.stub.fetch(elsewhere, { headers: { ...headers, "x-kabar-ticket": ticket } }))
      .status,
  ).toBe(403);
  const good = await connect(device, boot);
  expect(good.welcome?.epoch).toBeGreaterThan(0);
});
