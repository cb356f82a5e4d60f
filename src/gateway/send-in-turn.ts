/**
 * Sending, and whatever else is asked, so much at a time of one account: D1 takes one batch after the other, so whoever
 * asks without a pause would have everybody wait behind him. What does not get its turn in time is refused before anything
 * is asked; nothing is held.
 */
import type { RequestFailure } from "../domain/failure.ts";
import { err, type Result } from "../domain/result.ts";
import type { FairTurns, TurnRules } from "./fair-turns.ts";
import type { KnownKeys } from "./known-keys.ts";
import {
  sendMessages,
  type PacketAnswer,
  type SendRequest,
  type SendTools,
} from "./send-messages.ts";

/** While one is answered the other keeps D1 busy; the time of a turn is bounded by the deadlines of a send. */
export const SEND_TURNS: TurnRules = {
  runningMax: 2,
  crowdedAt: 8,
  waitingMax: 256,
  waitMaxMs: 5_000,
  lostAfterMs: 30_000,
};

/** What else is asked: a look through a long history takes D1 many times as long as a send. */
export const OTHER_TURNS: TurnRules = { ...SEND_TURNS, runningMax: 4, waitingMax: 128 };

/** The outcome of `work`, or null without having begun it: too much of this caller waits. */
export function inTurn<T>(
  { otherTurns, knownKeys }: { otherTurns: FairTurns; knownKeys: KnownKeys },
  keyHash: string,
  work: () => Promise<T>,
): Promise<T | null> {
  return otherTurns.run(lineOf(knownKeys, keyHash), work);
}

/** Keys of one account share its turns, once they are known here. */
function lineOf(knownKeys: KnownKeys, keyHash: string): string {
  const account = knownKeys.accountOf(keyHash);
  return account === null ? `key ${keyHash}` : `account ${account}`;
}

export async function sendInTurn(
  tools: SendTools & { sendTurns: FairTurns; knownKeys: KnownKeys },
  request: SendRequest,
): Promise<Result<PacketAnswer[], RequestFailure>> {
  const { knownKeys, knownDevices, sendTurns } = tools;
  const { keyHash, waid } = request;
  const name = lineOf(knownKeys, keyHash);
  const answer = await sendTurns.run(name, () => sendMessages(tools, request));
  // Not refused as a whole: the key and the device are of one account.
  const device = answer?.ok === true ? knownDevices.find(waid) : null;
  if (device !== null) knownKeys.remember(keyHash, device.accountId);
  return answer ?? err({ reason: "system_unavailable" });
}
