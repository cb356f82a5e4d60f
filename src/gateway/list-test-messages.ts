/** The list of messages as a test key sees it: what test keys of the account sent, and nothing that is real. */
import { testMessagesOfAccount } from "../directory/test-messages.ts";
import { firstMessageIdAt } from "../domain/id.ts";
import type { DeviceTools } from "./device-answer.ts";
import type { MessageList, MessageSearch } from "./message-list.ts";
import { testStory } from "./test-story.ts";

export async function listTestMessages(
  { db, clock }: DeviceTools,
  accountId: number,
  { waid, status, to, sinceMs, untilMs, cursor, countMax }: MessageSearch,
): Promise<MessageList> {
  const nowMs = clock();
  const untilId = untilMs === null ? Number.MAX_SAFE_INTEGER : firstMessageIdAt(untilMs);
  const found = await testMessagesOfAccount(db, accountId, {
    waid,
    to,
    fromId: sinceMs === null ? 0 : firstMessageIdAt(sinceMs),
    beforeId: Math.min(untilId, cursor ?? untilId),
    limit: countMax + 1,
  });
  const page = found.slice(0, countMax);
  const messages = page.map((message) => ({ ...testStory(message, nowMs), waid: message.waid }));
  return {
    messages: status === null ? messages : messages.filter((one) => one.status === status),
    nextCursor: found.length > countMax ? (page.at(-1)?.id ?? null) : null,
  };
}
