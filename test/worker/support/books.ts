/**
 * Driving the books directly, without a wire: accepting and ending messages on real D1, and reading the transfers
 * back by plain SQL.
 */
import { env } from "cloudflare:test";
import type { MessageEnd, MoneyEnd } from "../../../src/billing/message-end.ts";
import { sha256Hex } from "../../../src/domain/digest.ts";
import { drawMessageIds, randomHex, systemRandomBytes } from "../../../src/domain/id.ts";
import type { MessageStatus } from "../../../src/domain/message-status.ts";
import {
  acceptExplained,
  type AcceptRequest,
  type AcceptTimes,
} from "../../../src/gateway/accept.ts";
import type { AcceptVerdict } from "../../../src/gateway/accept-verdict.ts";
import type { Customer } from "./harness.ts";

let nextId = 0;

/** Ids that no other request of this process has drawn: what meets one's own is tested by itself. */
function ownIds(count: number): number[] {
  const [drawn = 0] = drawMessageIds(Date.now(), count, systemRandomBytes);
  const first = Math.max(drawn, nextId);
  nextId = first + count;
  return Array.from({ length: count }, (_, index) => first + index);
}

/** A request of one packet for each text; equal texts to equal numbers are duplicates. */
export async function acceptRequest(
  customer: Pick<Customer, "apiKey" | "waid">,
  texts: string[],
): Promise<AcceptRequest> {
  const ids = ownIds(texts.length);
  return {
    nonce: randomHex(systemRandomBytes, 16),
    keyHash: await sha256Hex(customer.apiKey),
    address: null,
    waid: customer.waid,
    messages: texts.map((text, index) => ({
      id: ids[index] ?? 0,
      to: "6281234567890",
      time: { kind: "now" },
      category: null,
      lifeMs: null,
      plain: { length: 20, body: "sealed", textMac: `t-${text}`, dupMac: `d-${text}` },
      decoded: null,
      autoDecodes: false,
      supersedes: null,
    })),
  };
}

export function timesNow(): AcceptTimes {
  const nowMs = Date.now();
  return { nowMs, decideByMs: nowMs + 60_000 };
}

export async function accept(
  customer: Pick<Customer, "apiKey" | "waid">,
  texts: string[],
): Promise<{ request: AcceptRequest; verdict: AcceptVerdict }> {
  const request = await acceptRequest(customer, texts);
  const [verdict] = await acceptExplained(env.DB, [request], timesNow());
  if (verdict === undefined) throw new Error("no verdict");
  return { request, verdict };
}

const STATUS_OF_MONEY: Record<MoneyEnd, MessageStatus> = {
  settle: "sent",
  void: "cancel",
  refund: "reject",
};

export function endOf(
  message: { id: number; nonce: string },
  accountId: number,
  money: MoneyEnd | null,
  rev: number,
  status: MessageStatus = money === null ? "pending" : STATUS_OF_MONEY[money],
): MessageEnd {
  return {
    messageId: message.id,
    nonce: message.nonce,
    accountId,
    money,
    status,
    reason: null,
    rev,
    atMs: Date.now(),
  };
}

export interface Leg {
  leg: string;
  kind: string;
  debit: string;
  credit: string;
  amount: number;
}

/** The legs of a message in the order they can only have been written in. */
export async function legsOf(messageId: number): Promise<Leg[]> {
  const { results } = await env.DB.prepare(
    `SELECT leg, kind, debit, credit, amount FROM transfers WHERE ref = ?
     ORDER BY CASE leg WHEN 'hold' THEN 0 WHEN 'end' THEN 1 ELSE 2 END`,
  )
    .bind(`message:${messageId}`)
    .all<Leg>();
  return results;
}

export async function usedOf(deviceId: string): Promise<number> {
  const row = await env.DB.prepare("SELECT used FROM package_periods WHERE device_id = ?")
    .bind(deviceId)
    .first<{ used: number }>();
  return row?.used ?? 0;
}

export async function rowOf(messageId: number): Promise<Record<string, unknown> | null> {
  return env.DB.prepare("SELECT * FROM messages WHERE id = ?").bind(messageId).first();
}
