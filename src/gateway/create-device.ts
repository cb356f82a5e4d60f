/** A new device with its package, from today on. Its object is made when it is first asked something. */
import { subscribeStatements } from "../billing/package-periods.ts";
import { zoneOf } from "../directory/accounts.ts";
import type { Clock } from "../domain/clock.ts";
import { askD1 } from "../db/ask.ts";
import { drawWaid, randomHex, type RandomBytes } from "../domain/id.ts";

/** About 900 million waids exist: a second clash in a row is a fault, not chance. */
const DRAWS_MAX = 3;

const ADD_DEVICE = `
INSERT INTO devices (id, waid, account_id, name, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)`;

export interface NewDevice {
  accountId: number;
  name: string;
  planCode: string;
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
  for (let draw = 1; ; draw += 1) {
    const deviceId = randomHex(random, 16);
    const waid = drawWaid(random);
    try {
      await askD1("create_device", () =>
        db.batch([
          db.prepare(ADD_DEVICE).bind(deviceId, waid, accountId, name, nowMs),
          ...subscribeStatements(db, { deviceId, planCode, zone, nowMs }),
        ]),
      );
      return { waid, deviceId };
    } catch (error) {
      const taken = error instanceof Error && error.message.includes("devices.waid");
      if (!taken || draw === DRAWS_MAX) throw error;
    }
  }
}
