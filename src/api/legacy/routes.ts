/**
 * The old API's two paths. Parse, ask the gateway, render; whatever happens, an answer in the old API's own words.
 */
import { Hono, type Context } from "hono";
import { modeOfKey } from "../../domain/api-key.ts";
import type { RequestFailure } from "../../domain/failure.ts";
import { errorFields, logAlert } from "../../domain/log.ts";
import { err, ok, type Result } from "../../domain/result.ts";
import type { BalanceView } from "../../gateway/check-balance.ts";
import type { PacketAnswer } from "../../gateway/send-messages.ts";
import type { Stranger } from "../../gateway/strangers.ts";
import { boundedText } from "../body.ts";
import { clientAddress, type ApiEnv } from "../environment.ts";
import type { RequestNote } from "../request-note.ts";
import { balanceAnswered, balanceRefused, sendAnswered, sendRefused } from "./answer.ts";
import { namedKey, noteAnswered, noteRefused, NOTHING_REFUSED } from "./note.ts";
import {
  BODY_BYTES_MAX,
  PACKETS_MAX,
  parseBalance,
  parseSend,
  type LegacyCaller,
  type LegacySend,
} from "./request.ts";

const SEND_PATH = "/sms/api_whatsapp_send_json.php";
const BALANCE_PATH = "/sms/api_whatsapp_balance_json.php";
const PLAIN_HTTP_REFUSED: RequestFailure = {
  reason: "body_malformed",
  detail: "plain http is not taken here",
};

export const legacy = new Hono<ApiEnv>();

legacy.all(SEND_PATH, async (c) => {
  const body = await postedBody(c);
  const parsed = isForbiddenPlainHttp(c) ? err(PLAIN_HTTP_REFUSED) : parseSend(body);
  const key = await namedKey(parsed, body);
  const packets = parsed.ok ? parsed.value.packets : [];
  const sent = parsed.ok ? await sendOrRefuseEach(c, parsed.value, key) : parsed;
  const answered = sent.ok ? noteAnswered(sent.value) : noteRefused(sent.error, packets.length);
  c.set("note", { key, endpoint: `${c.req.method} ${SEND_PATH}`, isUnread: true, ...answered });
  if (!sent.ok) return sendRefused(sent.error);
  return sendAnswered(
    sent.value,
    packets.map(({ written }) => written),
  );
});

legacy.all(BALANCE_PATH, async (c) => {
  const body = await postedBody(c);
  const parsed = isForbiddenPlainHttp(c) ? err(PLAIN_HTTP_REFUSED) : parseBalance(body);
  const key = await namedKey(parsed, body);
  const balance = parsed.ok ? await balanceOf(c, parsed.value, key) : parsed;
  const answered = balance.ok ? NOTHING_REFUSED : noteRefused(balance.error, 0);
  c.set("note", { key, endpoint: `${c.req.method} ${BALANCE_PATH}`, isUnread: false, ...answered });
  return balance.ok ? balanceAnswered(balance.value) : balanceRefused(balance.error);
});

type Key = RequestNote["key"];

/** There is no code for a send that fails as a whole; what is wrong with a packet itself is known all the same. */
async function sendOrRefuseEach(
  c: Context<ApiEnv>,
  request: LegacySend,
  key: Key,
): Promise<Result<PacketAnswer[], RequestFailure>> {
  const sent = await send(c, request, key);
  if (sent.ok || sent.error.reason !== "system_unavailable") return sent;
  const count = request.packets.length;
  if (count > PACKETS_MAX) return err({ reason: "too_many_messages", count, max: PACKETS_MAX });
  return ok(
    request.packets.map(({ packet }) =>
      packet.ok ? err({ reason: "system_unavailable" }) : packet,
    ),
  );
}

async function send(
  c: Context<ApiEnv>,
  request: LegacySend,
  key: Key,
): Promise<Result<PacketAnswer[], RequestFailure>> {
  const caller = identify(c, request, key);
  if (caller === null) return err({ reason: "key_unknown" });
  const { sendMessages, later } = c.get("services");
  const sending = unlessUnknown(c, caller, () =>
    sendMessages({
      ...caller,
      packets: request.packets.map((packet) => packet.packet),
      packetsMax: PACKETS_MAX,
    }),
  ).catch((error: unknown) => err(systemFailure(c, error)));
  // A client that hangs up does not stop what it has asked for.
  later(sending);
  return sending;
}

async function balanceOf(
  c: Context<ApiEnv>,
  request: LegacyCaller,
  key: Key,
): Promise<Result<BalanceView, RequestFailure>> {
  const caller = identify(c, request, key);
  if (caller === null) return err({ reason: "key_unknown" });
  try {
    const { inTurn, checkBalance } = c.get("services");
    const checked = await unlessUnknown(c, caller, async () => {
      const answer = await inTurn(caller.keyHash, () => checkBalance(caller));
      return answer ?? err({ reason: "system_unavailable" });
    });
    return checked;
  } catch (error) {
    return err(systemFailure(c, error));
  }
}

/**
 * A key that was unknown a moment ago, or comes from where too many such came from, is not looked up. Old clients
 * take 30 for final: it is said only of a key that is known to be none.
 */
async function unlessUnknown<T>(
  c: Context<ApiEnv>,
  caller: Stranger,
  ask: () => Promise<Result<T, RequestFailure>>,
): Promise<Result<T, RequestFailure>> {
  const { strangers, clock } = c.get("services");
  const { kind } = strangers.judge(caller, clock());
  if (kind !== "ask") {
    c.set("isStranger", true);
    return err({ reason: kind === "held" ? "system_unavailable" : "key_unknown" });
  }
  const answered = await ask();
  if (strangers.hear(caller, answered.ok ? null : answered.error, clock())) {
    c.set("isStranger", true);
  }
  return answered;
}

/** Old clients follow no redirect, so there is none: plain http is answered like https, or refused for good. */
function isForbiddenPlainHttp(c: Context<ApiEnv>): boolean {
  return c.get("services").plainHttp === "refused" && c.req.url.startsWith("http:");
}

/** Anything but a POST has no body to speak of. */
async function postedBody(c: Context<ApiEnv>): Promise<string> {
  if (c.req.method !== "POST") return "";
  const text = await boundedText(c.req.raw, BODY_BYTES_MAX);
  return text.ok ? text.value : "";
}

function identify(c: Context<ApiEnv>, { apiKey, waid }: LegacyCaller, key: Key) {
  if (apiKey === null || waid === null || key === null) return null;
  const address = clientAddress(c.req.raw);
  return { keyHash: key.hash, keyMode: modeOfKey(apiKey), address, waid };
}

function systemFailure(c: Context<ApiEnv>, error: unknown): RequestFailure {
  logAlert("request failed", { requestId: c.get("requestId"), ...errorFields(error) });
  return { reason: "system_unavailable" };
}
