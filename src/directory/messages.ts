/** Messages as the index in D1 knows them, for those who may see them. The whole story is the device's. */
import { askD1 } from "../db/ask.ts";
import { and, eq } from "drizzle-orm";
import { books } from "../db/client.ts";
import { devices, messages } from "../db/schema.ts";
import type { MessageReason, MessageStatus } from "../domain/message-status.ts";
import type { DeviceKey } from "./devices.ts";

export interface IndexedMessage {
  id: number;
  device: DeviceKey;
  to: string;
  status: MessageStatus;
  reason: MessageReason | null;
  priceRupiah: number;
  acceptedMs: number;
  dueMs: number;
  endedMs: number | null;
}

/** Null also when it is another account's. */
export async function messageOfAccount(
  db: D1Database,
  accountId: number,
  id: number,
): Promise<IndexedMessage | null> {
  const rows = await askD1("find_message", async () =>
    books(db)
      .select({
        id: messages.id,
        device: { deviceId: devices.id, accountId: devices.accountId, waid: devices.waid },
        to: messages.recipient,
        status: messages.status,
        reason: messages.reason,
        priceRupiah: messages.priceRupiah,
        acceptedMs: messages.acceptedMs,
        dueMs: messages.dueMs,
        endedMs: messages.endedMs,
      })
      .from(messages)
      .innerJoin(devices, eq(devices.id, messages.deviceId))
      .where(and(eq(messages.id, id), eq(messages.accountId, accountId)))
      .limit(1),
  );
  return rows[0] ?? null;
}
