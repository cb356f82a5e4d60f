/**
 * New devices: the operator's come with their package, from today on; a customer's own wait for one, and refuse to
 * send until then. Its object is made when a device is first asked something.
 */
import { subscribeStatements } from "../billing/package-periods.ts";
import { readAccess } from "../directory/access.ts";
import { isOpen, zoneOf } from "../directory/accounts.ts";
import type { Clock } from "../domain/clock.ts";
import { askD1, askD1Once } from "../db/ask.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { drawWaid, randomHex, type RandomBytes } from "../domain/id.ts";
import { err, ok, type Result } from "../domain/result.ts";
import type { Caller, DeviceAnswer, DeviceTools } from "./device-answer.ts";

/** About 900 million waids exist: a second clash in a row is a fault, not chance. */
const DRAWS_MAX = 3;

const ADD_DEVICE = `
INSERT INTO devices (id, waid, account_id, name, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)`;

const ENTER_AGAIN = `${ADD_DEVICE} ON CONFLICT (id) DO NOTHING`;

/** Deleted ones count: their rows stay. */
const ADD_BOUNDED = `
INSERT INTO devices (id, waid, account_id, name, created_ms)
SELECT ?1, ?2, ?3, ?4, ?5 WHERE (SELECT count(*) FROM devices d WHERE d.account_id = ?3) < ?6`;

/** Of an account that adds devices by itself, deleted ones included. */
const OWN_DEVICES_MAX = 200;

export interface NewDevice {
  accountId: number;
  name: string;
  planCode: string;
}

/**
 * A device that a restore of D1 forgot is entered again, under its own names and with a package from today on. Its
 * account must be the one that it had. Repeating it adds nothing. False when there is no such account any more.
 */
export async function enterAgain(
  tools: { db: D1Database; clock: Clock },
  device: { deviceId: string; waid: string } & NewDevice,
): Promise<boolean> {
  const { db, clock } = tools;
  const { deviceId, waid, accountId, name, planCode } = device;
  const zone = await zoneOf(db, accountId);
  if (zone === null || !(await isOpen(db, accountId))) return false;
  const nowMs = clock();
  await askD1("enter_device_again", () =>
    db.batch([
      db.prepare(ENTER_AGAIN).bind(deviceId, waid, accountId, name, nowMs),
      ...subscribeStatements(db, { deviceId, planCode, zone, nowMs }),
    ]),
  );
  return true;
}

/** Null when there is no such account. */
export async function createDevice(
  tools: { db: D1Database; clock: Clock; random: RandomBytes },
  device: NewDevice,
): Promise<{ waid: string; deviceId: string } | null> {
  const { db, clock, random } = tools;
  const { accountId, name, planCode } = device;
  const zone = await zoneOf(db, accountId);
  if (zone === null) return null;
  const nowMs = clock();
  return drawn(random, async ({ deviceId, waid }) => {
    await askD1Once("create_device", () =>
      db.batch([
        db.prepare(ADD_DEVICE).bind(deviceId, waid, accountId, name, nowMs),
        ...subscribeStatements(db, { deviceId, planCode, zone, nowMs }),
      ]),
    );
    return { waid, deviceId };
  });
}

/** For a customer: a device without a package, which an operator sells. */
export async function addOwnDevice(
  tools: DeviceTools & { random: RandomBytes },
  caller: Caller,
  name: string,
): Promise<Result<DeviceAnswer, RequestFailure>> {
  const { db, clock, random } = tools;
  const access = await readAccess(db, { ...caller, waid: null }, clock());
  if (!access.ok) return access;
  const { accountId } = access.value;
  const waid = await drawn(random, async (names) => {
    const added = await askD1Once("add_device", () =>
      db
        .prepare(ADD_BOUNDED)
        .bind(names.deviceId, names.waid, accountId, name, clock(), OWN_DEVICES_MAX)
        .run(),
    );
    return added.meta.changes > 0 ? names.waid : null;
  });
  return waid === null
    ? err({ reason: "too_many_devices", max: OWN_DEVICES_MAX })
    : ok({
        waid,
        name,
        status: "unpaired",
        phone: null,
        textsKept: "everybody",
        pausedReason: null,
        restrictedUntilMs: null,
        pairing: null,
      });
}

interface DrawnNames {
  deviceId: string;
  waid: string;
}

/** Draws anew when the waid is taken. */
async function drawn<T>(random: RandomBytes, add: (names: DrawnNames) => Promise<T>): Promise<T> {
  for (let draw = 1; ; draw += 1) {
    try {
      return await add({ deviceId: randomHex(random, 16), waid: drawWaid(random) });
    } catch (error) {
      const taken = error instanceof Error && error.message.includes("devices.waid");
      if (!taken || draw === DRAWS_MAX) throw error;
    }
  }
}
