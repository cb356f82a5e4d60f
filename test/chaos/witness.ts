/**
 * What is there after the trouble, read from everybody but the product's own interfaces: screens of phones, SQL of the
 * test's own over the books and the objects, what the customers' servers took. Collects; judges nothing.
 */
import { z } from "zod";
import type { Receiver } from "../flow/support/receiver.ts";
import { checkSignature } from "../flow/support/receiver.ts";
import type { Stored } from "../flow/support/stored.ts";
import type { Tenant } from "./tenants.ts";

/** A message as its device has it. */
export interface Ending {
  id: number;
  to: string;
  state: string;
  reason: string | null;
  waId: string | null;
  attempts: number;
}

export interface Delivery {
  /** Of the event. */
  id: string;
  type: string;
  data: Record<string, unknown>;
  isTaken: boolean;
  isSigned: boolean;
}

/** A text on somebody's screen. */
export interface OnScreen {
  number: string;
  from: string;
  text: string;
  waId: string;
  copies: number;
}

export interface TenantTruth {
  tenant: Tenant;
  endings: Ending[];
  deliveries: Delivery[];
  waiting: number;
  /** Order keys of dead letters: `message:<waid>:<id>` and the like. */
  dead: string[];
  /** The fold of its transfers. */
  spentRupiah: number;
  unfed: number;
}

const screens = z.array(
  z.object({
    number: z.string(),
    with: z.string(),
    direction: z.string(),
    text: z.string(),
    id: z.string(),
    copies: z.number(),
  }),
);
const SCREENS_TIMEOUT_MS = 60_000;
const ENDINGS = `SELECT id, recipient AS 'to', state, reason, wa_id AS waId, attempts FROM outbox WHERE id > 0`;
const UNFED = `SELECT count(*) AS n FROM feeds f
  JOIN (SELECT coalesce(max(n), 0) AS newest FROM events) ON f.acked_n < newest`;
const SPENT = `SELECT coalesce(sum(iif(kind = 'settle', amount, iif(kind = 'refund', -amount, 0))), 0) AS rupiah
  FROM transfers WHERE account_id = ?`;

export async function readScreens(simulatorUrl: string): Promise<OnScreen[]> {
  const response = await fetch(`${simulatorUrl}/messages`, {
    signal: AbortSignal.timeout(SCREENS_TIMEOUT_MS),
  });
  return screens
    .parse(await response.json())
    .filter(({ direction }) => direction === "in")
    .map(({ number, with: from, text, id, copies }) => ({ number, from, text, waId: id, copies }));
}

export function readTenant(stored: Stored, receiver: Receiver, tenant: Tenant): TenantTruth {
  const { waid, accountId } = tenant.customer;
  const waiting = stored.endpoint(
    tenant.endpointId,
    "SELECT state, order_key AS 'key' FROM events WHERE state <> 'delivered'",
  );
  return {
    tenant,
    endings: stored.device(waid, ENDINGS).map((row) => ({
      id: Number(row["id"]),
      to: String(row["to"]),
      state: String(row["state"]),
      reason: row["reason"] === null ? null : String(row["reason"]),
      waId: row["waId"] === null ? null : String(row["waId"]),
      attempts: Number(row["attempts"]),
    })),
    deliveries: deliveriesOf(receiver, tenant),
    waiting: waiting.filter((row) => row["state"] === "waiting").length,
    dead: waiting.filter((row) => row["state"] === "dead").map((row) => String(row["key"])),
    spentRupiah: Number(stored.books(SPENT, accountId)[0]?.["rupiah"] ?? 0),
    unfed: Number(stored.device(waid, UNFED)[0]?.["n"] ?? 0),
  };
}

/** Without an end in the books. */
export function countOpenHolds(stored: Stored): number {
  const [row] = stored.books(
    `SELECT count(*) AS n FROM transfers h WHERE h.leg = 'hold'
     AND NOT EXISTS (SELECT 1 FROM transfers e WHERE e.ref = h.ref AND e.leg = 'end')`,
  );
  return Number(row?.["n"] ?? 0);
}

/** Messages that time has not ended: waiting for their hand-over, in a host's hands, or on the wire without proof. */
export function countOpen(
  stored: Stored,
  tenants: readonly Tenant[],
): { waiting: number; unproved: number } {
  const count = { waiting: 0, unproved: 0 };
  for (const { customer } of tenants) {
    const sql = `SELECT state, count(*) AS n FROM outbox
      WHERE state IN ('queued', 'handing', 'maybe_sent') GROUP BY state`;
    for (const row of stored.device(customer.waid, sql)) {
      if (row["state"] === "maybe_sent") count.unproved += Number(row["n"]);
      else count.waiting += Number(row["n"]);
    }
  }
  return count;
}

function deliveriesOf(receiver: Receiver, { path, secret }: Tenant): Delivery[] {
  return receiver.at(path).map((one) => {
    const body = JSON.parse(one.body) as { type: string; data: Record<string, unknown> };
    let isSigned = true;
    try {
      checkSignature(one, secret);
    } catch {
      isSigned = false;
    }
    return { id: one.id, type: body.type, data: body.data, isTaken: one.isTaken, isSigned };
  });
}
