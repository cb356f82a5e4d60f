/** What became of a test message by now: computed from when it was due and its number, stored nowhere. */
import type { HistoryEntry, MessageView } from "../device/interface.ts";
import type { TestMessage } from "../directory/test-messages.ts";
import { testSteps } from "../domain/test-numbers.ts";

export function testStory(message: TestMessage, nowMs: number): MessageView {
  const { id, to, priceRupiah, acceptedMs, dueMs } = message;
  const accepted: HistoryEntry = {
    status: "pending",
    reason: dueMs > acceptedMs ? "scheduled" : "queued",
    atMs: acceptedMs,
  };
  const steps = testSteps(to).map(({ status, reason, afterMs }) => ({
    status,
    reason,
    atMs: dueMs + afterMs,
  }));
  const history = [accepted, ...steps.filter((step) => step.atMs <= nowMs)];
  const { status, reason } = history.at(-1) ?? accepted;
  const next = steps.find((step) => step.atMs > nowMs);
  const expectedAtMs = status === "pending" ? (next?.atMs ?? dueMs) : null;
  return { id, to, status, reason, expectedAtMs, priceRupiah, history };
}
