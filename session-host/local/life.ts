/**
 * Follows one message from acceptance to its end, and tells each step when it has just been read from the product,
 * from the books or from the receiving phone's screen. It assumes nothing: a step that is not there is not told.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Clock } from "../../src/domain/clock.ts";
import type { MessageReason, MessageStatus } from "../../src/domain/message-status.ts";
import { unreachable } from "../../src/domain/result.ts";
import type { MessageAnswer, MessageStep, Product } from "./product.ts";
import type { SimulatedPhones } from "./simulated-phone.ts";
import { rupiah } from "./terminal.ts";

const LOOK_INTERVAL_MS = 60;
const FINAL: readonly MessageStatus[] = ["read", "cancel", "reject"];

export interface FollowedMessage {
  id: number;
  accountId: number;
  apiKey: string;
  to: string;
  text: string;
  /** The sender's number, to find the text on the receiver's screen; null where there is no such screen. */
  from: string | null;
  sentAtMs: number;
}

export type TellStep = (elapsedMs: number, step: string, detail: string, money: string) => void;

/** Ends when the message and its money are final, or when the signal says stop. */
export async function followMessage(
  product: Product,
  phones: SimulatedPhones | null,
  message: FollowedMessage,
  clock: Clock,
  signal: AbortSignal,
  tell: TellStep,
): Promise<void> {
  const told = new Set<string>();
  const say = async (step: string, detail: string): Promise<void> => {
    if (told.has(step) || signal.aborted) return;
    told.add(step);
    const money = await moneyLine(product, message.accountId);
    tell(clock() - message.sentAtMs, step, detail, money);
  };
  while (!signal.aborted) {
    const answer = await product.message(message.apiKey, message.id);
    if (answer.ok) {
      for (const { step, detail } of stepsOf(message.id, answer.value)) await say(step, detail);
    }
    const end = await moneyEnd(product, message.id);
    if (end !== null) await say(end.step, end.detail);
    if (phones !== null && message.from !== null && !told.has("on screen")) {
      const shown = await phones.findOnScreen(message.to, message.from, message.text);
      if (shown !== null) await say("on screen", `"${shown}"`);
    }
    if (answer.ok && FINAL.includes(answer.value.status) && end !== null) return;
    await pause(LOOK_INTERVAL_MS);
  }
}

interface Step {
  step: string;
  detail: string;
}

/** What the product's history of a message says, in a person's words. */
function stepsOf(id: number, message: MessageAnswer): Step[] {
  const accepted = { step: "accepted", detail: `as ${id}, ${rupiah(message.price)} held for it` };
  const rest = [...message.history, { status: message.status, reason: message.reason }].map(stepOf);
  return [accepted, ...rest.filter((step) => step !== null)];
}

function stepOf(entry: MessageStep): Step | null {
  switch (entry.status) {
    case "pending":
      return pendingStep(entry.reason);
    case "sent":
      return { step: "sent", detail: "WhatsApp's server has it" };
    case "received":
      return { step: "received", detail: "the phone has it" };
    case "read":
      return { step: "read", detail: "blue ticks" };
    case "cancel":
    case "reject":
      return { step: entry.status, detail: (entry.reason ?? "").replaceAll("_", " ") };
    default:
      return unreachable(entry.status);
  }
}

function pendingStep(reason: MessageReason | null): Step | null {
  if (reason === "handed_over" || reason === "waiting_for_acknowledgement") {
    return { step: "handed over", detail: "the session host has it" };
  }
  return reason === "device_offline"
    ? { step: "waiting", detail: "the phone is not connected" }
    : null;
}

/** How the hold ended in the books, or null while it stands. */
async function moneyEnd(product: Product, messageId: number): Promise<Step | null> {
  const answer = await product.transfers(messageId);
  const end = answer.ok
    ? answer.value.transfers.findLast((transfer) => transfer.kind !== "hold")
    : undefined;
  if (end === undefined) return null;
  const amount = rupiah(end.amount);
  switch (end.kind) {
    case "settle":
      return { step: "charged", detail: `${amount}: the hold became a charge` };
    case "void":
      return { step: "released", detail: `${amount}: the hold was given back` };
    default:
      return { step: end.kind, detail: amount };
  }
}

async function moneyLine(product: Product, accountId: number): Promise<string> {
  const balances = await product.balances(accountId);
  if (!balances.ok) return "";
  return `${rupiah(balances.value.available)} available, ${rupiah(balances.value.held)} held`;
}
