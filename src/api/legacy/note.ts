/**
 * How an old endpoint answered, for the request log: the code that the client read, and every refusal by its reason,
 * which the old codes do not tell apart. Counts packets; sees no text and keeps no number.
 */
import { parseApiKey, shownKeyPrefix } from "../../domain/api-key.ts";
import { sha256Hex } from "../../domain/digest.ts";
import type { RequestFailure } from "../../domain/failure.ts";
import type { Result } from "../../domain/result.ts";
import type { LoggedRefusal } from "../../gateway/request-log.ts";
import type { PacketAnswer } from "../../gateway/send-messages.ts";
import type { RequestNote } from "../request-note.ts";
import { GLOBAL_SUCCESS, globalStatus, sendingStatus } from "./failure.ts";
import type { LegacyCaller } from "./request.ts";

type Answered = Pick<RequestNote, "code" | "refusals" | "acceptedCount" | "refusedCount">;

/** What can be no key leaves no trace of itself. */
const NO_KEY = { hash: "", prefix: "" };

/** Null when no key was named at all. `apiKey` is null for what can be none. */
export async function namedKey(
  parsed: Result<LegacyCaller, RequestFailure>,
  body: string,
): Promise<RequestNote["key"]> {
  const apiKey = parsed.ok ? parsed.value.apiKey : keyInText(body);
  if (apiKey === null) return parsed.ok ? NO_KEY : null;
  return { hash: await sha256Hex(apiKey), prefix: shownKeyPrefix(apiKey) };
}

/** The key in a body that is no JSON: a form post, JSON with a comma too many, or JSON written as a JSON string. */
function keyInText(body: string): string | null {
  return parseApiKey(/\bapikey\\?["']?\s*[:=]\s*\\?["']?(\w{32,36})\b/.exec(body)?.[1] ?? "");
}

/** `packets`: how many messages were refused with the request. */
export function noteRefused(failure: RequestFailure, packets: number): Answered {
  const code = String(globalStatus(failure).globalstatus);
  const { reason } = failure;
  return {
    code,
    refusals: [{ reason, code, count: Math.max(1, packets) }],
    acceptedCount: 0,
    refusedCount: packets,
  };
}

export const NOTHING_REFUSED: Answered = {
  code: String(GLOBAL_SUCCESS.globalstatus),
  refusals: [],
  acceptedCount: 0,
  refusedCount: 0,
};

export function noteAnswered(answers: PacketAnswer[]): Answered {
  const refusals = new Map<string, LoggedRefusal>();
  for (const answer of answers) {
    if (answer.ok) continue;
    const { reason } = answer.error;
    const code = String(sendingStatus(answer.error).sendingstatus);
    refusals.set(reason, { reason, code, count: (refusals.get(reason)?.count ?? 0) + 1 });
  }
  const refusedCount = answers.filter((answer) => !answer.ok).length;
  return {
    ...NOTHING_REFUSED,
    refusals: [...refusals.values()],
    acceptedCount: answers.length - refusedCount,
    refusedCount,
  };
}
