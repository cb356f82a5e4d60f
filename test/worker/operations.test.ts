/** What an operator looks at before he changes something for good: seal keys still in use, and how large the books are. */
import { env, runInDurableObject } from "cloudflare:test";
import { expect, it, vi } from "vitest";
import { booksSize } from "../../src/billing/books-size.ts";
import type { Device } from "../../src/device/device.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { DeviceSealer } from "../../session-host/sealing.ts";
import { newCustomer, operator, request } from "./support/harness.ts";

interface KeysPage {
  rows: Record<string, number>;
  devices: number;
  unreached: number;
  next_cursor: string | null;
}

/** A device with session rows as a host with these keys seals them. */
async function deviceSealedBy(...keyIds: string[]): Promise<void> {
  const { deviceId, accountId, waid } = await newCustomer();
  const stub = env.DEVICES.get(env.DEVICES.idFromName(deviceId));
  await stub.install({ deviceId, accountId, waid });
  await runInDurableObject(stub, (_device: Device, { storage }) => {
    for (const [n, keyId] of keyIds.entries()) {
      const key = Buffer.from("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "base64");
      const value = new DeviceSealer([{ id: keyId, key }], deviceId, 1).seal(
        "pre-key",
        String(n),
        "{}",
      );
      storage.sql.exec(
        "INSERT INTO session_rows (generation, type, id, value) VALUES (1, 'pre-key', ?, ?)",
        String(n),
        value,
      );
    }
  });
}

it("counts stored session rows by the key that sealed them, over all devices, and says who did not answer", async () => {
  await deviceSealedBy("k1", "k1", "k2-of-2027");
  await deviceSealedBy("k2-of-2027");
  await newCustomer();
  const page = await operator<KeysPage>("GET", "/seal-keys");
  expect(page).toEqual({
    rows: { k1: 2, "k2-of-2027": 2 },
    devices: 3,
    unreached: 0,
    next_cursor: null,
  });
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  setSaboteur((crossing, call) =>
    crossing.name === "device.sealKeys" ? Promise.reject(new Error("connection lost")) : call(),
  );
  const silent = await operator<KeysPage>("GET", "/seal-keys").finally(() => setSaboteur(null));
  expect(silent).toMatchObject({ rows: {}, devices: 3, unreached: 3 });
  vi.restoreAllMocks();
  expect((await request("GET", "/operator/seal-keys", { token: "stranger" })).status).toBe(401);
});

it("knows how large the books are, and calls a person at 60 % of their bound", async () => {
  const { bytes, isLarge } = await booksSize(env.DB, 10_000_000_000);
  expect(bytes).toBeGreaterThan(10_000);
  expect(isLarge).toBe(false);
  expect(await booksSize(env.DB, bytes / 0.61)).toMatchObject({ isLarge: true });
  expect(await booksSize(env.DB, bytes / 0.59)).toMatchObject({ isLarge: false });
});
