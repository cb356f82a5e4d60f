/** Who may be a session host: approval by the operator, the token, the proof of the seal key, one process a host. */
import { afterEach, expect, it, vi } from "vitest";
import { HEADER_BOOT, HEADER_HOST_TOKEN } from "../../src/bridge/wire.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { tokenHashOf } from "../../src/fleet/credentials.ts";
import { ScriptedHost } from "./device-host.ts";
import { knock, newDevice as knownDevice, unwrap } from "./device-support.ts";
import {
  approve,
  dial,
  fresh,
  HostSocket,
  hostView,
  newDevice,
  newFleet,
  passTime,
  ring,
  signProof,
} from "./fleet-support.ts";

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

it("answers an unknown token with 401 in plain text and opens no socket", async () => {
  const fleet = newFleet();
  await approve(fleet);
  for (const credentials of ["Bearer some-other-token", "Basic abc", "Bearer ", ""]) {
    const response = await dial(fleet, {
      upgrade: "websocket",
      [HEADER_HOST_TOKEN]: credentials,
      [HEADER_BOOT]: fresh("boot"),
    });
    expect(response.status).toBe(401);
    expect(response.webSocket).toBeNull();
    expect(response.headers.get("content-type")).toContain("text/plain");
  }
});

it("wants an upgrade and a boot id", async () => {
  const fleet = newFleet();
  const { token } = await approve(fleet);
  const authorization = { [HEADER_HOST_TOKEN]: `Bearer ${token}` };
  expect((await dial(fleet, authorization)).status).toBe(426);
  expect((await dial(fleet, { ...authorization, upgrade: "websocket" })).status).toBe(400);
});

it("approves a host once and keeps only the hash of its token", async () => {
  const fleet = newFleet();
  const tokenHash = await tokenHashOf("a token");
  const host = { hostId: "h1", name: "first", tokenHash, devicesMax: 5 };
  expect(await fleet.approveHost(host)).toEqual({ ok: true, value: null });
  expect(await fleet.approveHost(host)).toEqual({ ok: true, value: null });
  const other = { ...host, tokenHash: await tokenHashOf("another token") };
  expect(await fleet.approveHost(other)).toEqual({ ok: false, error: { reason: "exists" } });
  const sameToken = { ...host, hostId: "h2" };
  expect(await fleet.approveHost(sameToken)).toEqual({ ok: false, error: { reason: "exists" } });
  expect(await fleet.hosts()).toEqual([
    {
      hostId: "h1",
      name: "first",
      devicesMax: 5,
      connected: false,
      draining: false,
      drained: false,
      clientRefused: false,
      clientVersion: null,
      protocol: null,
      devices: 0,
    },
  ]);
});

it("accepts an approved host that proves the seal key", async () => {
  const fleet = newFleet();
  const approved = await approve(fleet);
  const host = await HostSocket.accepted(fleet, approved);
  expect(await hostView(fleet, host)).toMatchObject({ connected: true, devices: 0 });
  await host.ping();
});

it("gives a host with the wrong seal key nothing", async () => {
  const fleet = newFleet();
  await fleet.want(await newDevice());
  const host = await HostSocket.open(fleet, await approve(fleet));
  host.hello();
  const { nonce } = await host.next("challenge");
  host.send({
    t: "proof",
    signature: await signProof(host.bootId, nonce, new Uint8Array(32).fill(7)),
  });
  expect(await host.closed).toBe(4403);
  await ring(fleet);
  expect(await hostView(fleet, host)).toMatchObject({ connected: false, devices: 0 });
});

it("does not take the proof of another boot or of an older challenge", async () => {
  const fleet = newFleet();
  const approved = await approve(fleet);
  const first = await HostSocket.open(fleet, approved);
  first.hello();
  const { nonce } = await first.next("challenge");
  const signature = await signProof(first.bootId, nonce);
  const second = await HostSocket.open(fleet, approved, first.bootId);
  second.hello();
  await second.next("challenge");
  second.send({ t: "proof", signature });
  expect(await second.closed).toBe(4403);
  first.send({ t: "proof", signature: await signProof("another-boot", nonce) });
  expect(await first.closed).toBe(4403);
});

it("closes on a seal key that the gateway does not know", async () => {
  const fleet = newFleet();
  for (const sealKeyId of ["k2", "constructor"]) {
    const host = await HostSocket.open(fleet, await approve(fleet));
    host.hello({ sealKeyId });
    expect(await host.closed).toBe(4403);
  }
});

it("places nothing on a host that has not proved itself, and closes it in the end", async () => {
  const fleet = newFleet();
  await fleet.want(await newDevice());
  const host = await HostSocket.open(fleet, await approve(fleet));
  host.hello();
  await host.next("challenge");
  await ring(fleet);
  expect(await hostView(fleet, host)).toMatchObject({ connected: false, devices: 0 });
  await passTime(fleet, 6_000);
  await passTime(fleet, 6_000);
  expect(await host.closed).toBe(4408);
});

it("closes on a protocol version that it does not speak", async () => {
  const fleet = newFleet();
  const host = await HostSocket.open(fleet, await approve(fleet));
  host.hello({ protocol: 99 });
  expect(await host.closed).toBe(4426);
});

it("bears ten frames that make no sense and closes at the eleventh", async () => {
  const fleet = newFleet();
  const host = await HostSocket.accepted(fleet, await approve(fleet));
  for (let count = 0; count < 9; count += 1) host.sendText("{");
  host.send({ t: "report", running: [{ deviceId: "../etc", placementId: -1, epoch: 0 }] });
  expect(await host.framesUntilNow()).toEqual([]);
  host.send({ t: "something newer" });
  expect(await host.closed).toBe(4400);
});

it("closes on a frame that is too large", async () => {
  const fleet = newFleet();
  const host = await HostSocket.open(fleet, await approve(fleet));
  host.sendText("x".repeat(900_001));
  expect(await host.closed).toBe(4413);
});

it("closes a revoked host, moves its devices, and no longer knows its token", async () => {
  const fleet = newFleet();
  const revoked = await HostSocket.accepted(fleet, await approve(fleet));
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  const first = await revoked.next("assign");
  const other = await HostSocket.accepted(fleet, await approve(fleet));
  expect(await fleet.revokeHost(revoked.hostId)).toEqual({ ok: true, value: null });
  expect(await revoked.closed).toBe(4401);
  const moved = await other.next("assign");
  expect(moved.deviceId).toBe(deviceId);
  expect(moved.placementId).toBeGreaterThan(first.placementId);
  await expect(HostSocket.open(fleet, revoked)).rejects.toThrow("401");
  expect(await fleet.revokeHost(revoked.hostId)).toEqual({
    ok: false,
    error: { reason: "unknown" },
  });
});

it("a revoked host cannot come back to its phone", async () => {
  const fleet = newFleet();
  const host = await HostSocket.accepted(fleet, await approve(fleet));
  const device = await knownDevice();
  await unwrap(device.stub.pair(device.identity, null));
  await fleet.want(device.identity.deviceId);
  const { ticket } = await host.next("assign");
  const response = await knock(device, host, { ticket });
  if (response.webSocket === null) throw new Error("no socket");
  const phone = new ScriptedHost(host, response.webSocket);
  const { resumeToken } = await phone.hello();
  await fleet.revokeHost(host.hostId);
  await ring(fleet);
  expect(await phone.untilClosed()).toBe(4004);
  expect((await knock(device, host, { resume: resumeToken })).status).toBe(409);
});

it("a device that cannot be told of a revocation is told again until it answers", async () => {
  vi.spyOn(console, "warn").mockReturnValue();
  const fleet = newFleet();
  const host = await HostSocket.accepted(fleet, await approve(fleet));
  const device = await knownDevice();
  await fleet.want(device.identity.deviceId);
  await host.next("assign");
  let told = 0;
  setSaboteur(async (crossing, call) => {
    if (crossing.name === "device.dismiss") {
      told += 1;
      if (told <= 2) throw new Error("sabotaged");
    }
    return call();
  });
  await fleet.revokeHost(host.hostId);
  await ring(fleet);
  for (let tries = 0; tries < 8; tries += 1) await passTime(fleet, 60_000);
  expect(told).toBe(3);
});

it("does not let a stolen token without the seal key push the host out", async () => {
  const fleet = newFleet();
  const approved = await approve(fleet);
  const host = await HostSocket.accepted(fleet, approved);
  for (let count = 0; count < 6; count += 1) {
    const thief = await HostSocket.open(fleet, approved);
    thief.hello();
    await thief.next("challenge");
  }
  const thief = await HostSocket.open(fleet, approved);
  thief.hello();
  const { nonce } = await thief.next("challenge");
  thief.send({ t: "proof", signature: await signProof("wrong-boot", nonce) });
  expect(await thief.closed).toBe(4403);
  expect(await hostView(fleet, host)).toMatchObject({ connected: true });
  expect(await host.framesUntilNow()).toEqual([]);
});

it("lets a newer process of a host replace the older, which cannot push back", async () => {
  const fleet = newFleet();
  const approved = await approve(fleet);
  const older = await HostSocket.accepted(fleet, approved);
  const deviceId = await newDevice();
  await fleet.want(deviceId);
  const first = await older.next("assign");
  const newer = await HostSocket.accepted(fleet, approved);
  expect(await older.closed).toBe(4409);
  const second = await newer.next("assign");
  expect(second.placementId).toBeGreaterThan(first.placementId);
  const again = await HostSocket.open(fleet, approved, older.bootId);
  again.hello();
  const { nonce } = await again.next("challenge");
  again.send({ t: "proof", signature: await signProof(again.bootId, nonce) });
  expect(await again.closed).toBe(4409);
  expect(await newer.framesUntilNow([second])).toEqual([]);
});
