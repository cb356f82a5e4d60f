/**
 * Fresh Device objects, and the steps that bring one to a paired phone with a scripted host: what the device tests
 * share. Books are the real D1.
 */
import {
  env,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { vi } from "vitest";
import {
  HEADER_BOOT,
  HEADER_HOST_ID,
  HEADER_RESUME,
  HEADER_TICKET,
} from "../../src/bridge/wire.ts";
import type { Device } from "../../src/device/device.ts";
import type { DeviceIdentity, MessageToEnqueue } from "../../src/device/interface.ts";
import { firstMessageIdAt, randomHex, systemRandomBytes } from "../../src/domain/id.ts";
import { type Boot, OWN_PHONE, ScriptedHost } from "./device-host.ts";

export type DeviceStub = DurableObjectStub<Device>;
export const ACCOUNT_ID = 7;
export const OWN_LID = "777000111@lid";
export const CONTACT = "6281234567890";

export interface TestDevice {
  identity: DeviceIdentity;
  stub: DeviceStub;
}

export function blankDevice(): TestDevice {
  const deviceId = randomHex(systemRandomBytes, 16);
  return {
    identity: { deviceId, accountId: ACCOUNT_ID, waid: "ABC234" },
    stub: env.DEVICES.get(env.DEVICES.idFromName(deviceId)),
  };
}

export async function newDevice(): Promise<TestDevice> {
  const device = blankDevice();
  await unwrap(device.stub.install(device.identity));
  return device;
}

/** The value of a result that must be good. */
export async function unwrap<T>(
  answer: Promise<{ ok: true; value: T } | { ok: false; error: { reason: string } }>,
): Promise<T> {
  const result = await answer;
  if (!result.ok) throw new Error(`refused: ${result.error.reason}`);
  return result.value;
}

let placements = 0;

export function newBoot(): Boot {
  placements += 1;
  return { hostId: `host-${placements}`, bootId: `boot-${placements}` };
}

export async function ticketFor(device: TestDevice, boot: Boot, placementId?: number) {
  placements += 1;
  return unwrap(device.stub.mintTicket({ placementId: placementId ?? placements, ...boot }));
}

export async function knock(
  device: TestDevice,
  boot: Boot,
  secret: { ticket: string } | { resume: string },
): Promise<Response> {
  return device.stub.fetch(`https://gateway.test/bridge/devices/${device.identity.deviceId}`, {
    headers: {
      upgrade: "websocket",
      [HEADER_HOST_ID]: boot.hostId,
      [HEADER_BOOT]: boot.bootId,
      ...("ticket" in secret
        ? { [HEADER_TICKET]: secret.ticket }
        : { [HEADER_RESUME]: secret.resume }),
    },
  });
}

async function socketOf(response: Response): Promise<WebSocket> {
  if (response.webSocket === null) {
    throw new Error(`no WebSocket: ${response.status} ${await response.text()}`);
  }
  return response.webSocket;
}

/** A new placement: ticket, socket, hello. */
export async function connect(
  device: TestDevice,
  boot = newBoot(),
  protocol?: number,
): Promise<ScriptedHost> {
  const { ticket } = await ticketFor(device, boot);
  const socket = await socketOf(await knock(device, boot, { ticket }));
  const host = new ScriptedHost(boot, socket, protocol);
  await host.hello();
  return host;
}

/** The same host and boot again, on a new socket. */
export async function resume(
  device: TestDevice,
  before: ScriptedHost,
  lastCommandSeq = before.lastCommandSeq,
): Promise<ScriptedHost> {
  const token = before.welcome?.resumeToken ?? "";
  const response = await knock(device, before.boot, { resume: token });
  const host = new ScriptedHost(before.boot, await socketOf(response));
  host.continueFactsFrom(before.factN);
  host.lastCommandSeq = lastCommandSeq;
  await host.hello(lastCommandSeq);
  return host;
}

/** Scan, pair and open. The greeting, and whatever waited, is on its way. */
export async function scannedHost(
  device: TestDevice,
  phone = OWN_PHONE,
  protocol?: number,
): Promise<ScriptedHost> {
  await unwrap(device.stub.pair(device.identity, null));
  const host = await connect(device, newBoot(), protocol);
  await host.command("pair");
  await host.commit({ rows: [{ type: "creds", id: "creds", value: "sealed" }] });
  await host.fact({ kind: "paired", phone, lid: OWN_LID, platform: "android" });
  await host.open();
  await host.fact({ kind: "drained" });
  return host;
}

/** A paired phone that has had its greeting; for a device whose queue is empty. */
export async function pairedHost(
  device: TestDevice,
  phone = OWN_PHONE,
  protocol?: number,
): Promise<ScriptedHost> {
  const host = await scannedHost(device, phone, protocol);
  const greeting = await host.command("send");
  await host.commitFor(greeting);
  await host.ack(greeting);
  return host;
}

let drawn = 0;

export function messageTo(to = CONTACT, over: Partial<MessageToEnqueue> = {}): MessageToEnqueue {
  const nowMs = Date.now();
  drawn += 1;
  return {
    // Drawn now, and no two alike within a test file.
    id: firstMessageIdAt(nowMs) + drawn,
    nonce: randomHex(systemRandomBytes, 16),
    to,
    text: "hello there",
    category: "notification",
    priceRupiah: 100,
    periodId: 1,
    acceptedMs: nowMs,
    dueMs: nowMs,
    expiresMs: nowMs + 24 * 3_600_000,
    ...over,
  };
}

export async function enqueue(device: TestDevice, ...messages: MessageToEnqueue[]) {
  return unwrap(device.stub.enqueue(device.identity, messages));
}

export async function statusOf(device: TestDevice, id: number): Promise<string | null> {
  const view = await unwrap(device.stub.message(device.identity, id));
  return view === null
    ? null
    : view.reason === null
      ? view.status
      : `${view.status}: ${view.reason}`;
}

/** Rows of the object's own storage, for what no answer shows. */
export async function rowsOf<T extends Record<string, SqlStorageValue>>(
  device: TestDevice,
  query: string,
  ...values: SqlStorageValue[]
): Promise<T[]> {
  return runInDurableObject(device.stub, (_device: Device, state) =>
    state.storage.sql.exec<T>(query, ...values).toArray(),
  );
}

export async function counter(device: TestDevice, name: string): Promise<number> {
  const rows = await rowsOf<{ value: number }>(
    device,
    "SELECT value FROM counters WHERE name = ?",
    name,
  );
  return rows[0]?.value ?? 0;
}

/** Moves time and rings the alarm as often as something is due by then. */
export async function passTime(device: TestDevice, ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await runDurableObjectAlarm(device.stub);
}

/** The object restarts; its sockets sleep through it or are lost. It is woken before: only what runs can be evicted. */
export async function restart(
  device: TestDevice,
  webSockets: "hibernate" | "close" = "hibernate",
): Promise<void> {
  await runInDurableObject(device.stub, () => undefined);
  await evictDurableObject(device.stub, { webSockets });
}

/** The account and the accepted message as D1 has them: with a hold of the message's price. */
export async function holdInBooks(device: TestDevice, message: MessageToEnqueue): Promise<void> {
  const { accountId, deviceId } = device.identity;
  await env.DB.batch([
    env.DB.prepare(
      "INSERT INTO accounts (id, name, available, created_ms) VALUES (?, 'a firm', 100000, 0) ON CONFLICT DO NOTHING",
    ).bind(accountId),
    env.DB.prepare(
      `INSERT INTO messages (id, account_id, device_id, key_id, period_id, nonce, recipient, category,
         price_rupiah, accepted_ms, due_ms, expires_ms, expect_by_ms, text_mac)
       VALUES (?, ?, ?, 1, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).bind(
      message.id,
      accountId,
      deviceId,
      message.nonce,
      message.to,
      message.category,
      message.priceRupiah,
      message.acceptedMs,
      message.dueMs,
      message.expiresMs,
      message.expiresMs,
      message.nonce,
    ),
  ]);
}

/** The kinds of transfer the books hold for a message, in the order they came. */
export async function transfersOf(id: number): Promise<string[]> {
  const { results } = await env.DB.prepare(
    "SELECT kind FROM transfers WHERE ref = 'message:' || CAST(? AS INTEGER) ORDER BY CASE leg WHEN 'hold' THEN 0 WHEN 'end' THEN 1 ELSE 2 END",
  )
    .bind(id)
    .all<{ kind: string }>();
  return results.map(({ kind }) => kind);
}

/** Until the books hold these transfers of a message; the flush runs beside the answers. */
export async function untilBooked(id: number, kinds: string[]): Promise<void> {
  await vi.waitFor(async () => {
    const found = await transfersOf(id);
    if (found.join() !== kinds.join()) throw new Error(`the books hold ${found.join()}`);
  });
}
