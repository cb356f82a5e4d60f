/**
 * The old API's two paths. Parse, ask the gateway, render; whatever happens, an answer in the old API's own words.
 */
import { Hono, type Context } from "hono";
import { sha256Hex } from "../../domain/digest.ts";
import type { RequestFailure } from "../../domain/failure.ts";
import { errorFields, logAlert } from "../../domain/log.ts";
import { err, type Result } from "../../domain/result.ts";
import type { PacketAnswer } from "../../gateway/send-messages.ts";
import { boundedBody, clientAddress, type ApiEnv } from "../environment.ts";
import { balanceAnswered, balanceRefused, sendAnswered, sendRefused } from "./answer.ts";
import {
  BODY_BYTES_MAX,
  parseBalance,
  parseSend,
  type LegacyCaller,
  type LegacySend,
} from "./request.ts";

const PACKETS_MAX = 5;

export const legacy = new Hono<ApiEnv>();

legacy.all("/sms/api_whatsapp_send_json.php", async (c) => {
  const parsed = parseSend(await postedBody(c));
  if (!parsed.ok) return sendRefused(parsed.error);
  const written = parsed.value.packets.map((packet) => packet.written);
  const sent = await send(c, parsed.value);
  if (sent.ok) return sendAnswered(sent.value, written);
  if (sent.error.reason !== "system_unavailable") return sendRefused(sent.error);
  return sendAnswered(
    written.map(() => err({ reason: "system_unavailable" })),
    written,
  );
});

legacy.all("/sms/api_whatsapp_balance_json.php", async (c) => {
  const parsed = parseBalance(await postedBody(c));
  if (!parsed.ok) return balanceRefused(parsed.error);
  const caller = await identify(c, parsed.value);
  if (caller === null) return balanceRefused({ reason: "key_unknown" });
  try {
    const balance = await c.get("services").checkBalance(caller);
    return balance.ok ? balanceAnswered(balance.value) : balanceRefused(balance.error);
  } catch (error) {
    return balanceRefused(systemFailure(c, error));
  }
});

async function send(
  c: Context<ApiEnv>,
  request: LegacySend,
): Promise<Result<PacketAnswer[], RequestFailure>> {
  const caller = await identify(c, request);
  if (caller === null) return err({ reason: "key_unknown" });
  const { sendMessages, later } = c.get("services");
  const sending = sendMessages({
    ...caller,
    packets: request.packets.map((packet) => packet.packet),
    packetsMax: PACKETS_MAX,
  }).catch((error: unknown) => err(systemFailure(c, error)));
  // A client that hangs up does not stop what it has asked for.
  later(sending);
  return sending;
}

/** Anything but a POST has no body to speak of. */
async function postedBody(c: Context<ApiEnv>): Promise<string> {
  if (c.req.method !== "POST") return "";
  return (await boundedBody(c.req.raw, BODY_BYTES_MAX)) ?? "";
}

async function identify(c: Context<ApiEnv>, { apiKey, waid }: LegacyCaller) {
  if (apiKey === null || waid === null) return null;
  return { keyHash: await sha256Hex(apiKey), address: clientAddress(c.req.raw), waid };
}

function systemFailure(c: Context<ApiEnv>, error: unknown): RequestFailure {
  logAlert("request failed", { requestId: c.get("requestId"), ...errorFields(error) });
  return { reason: "system_unavailable" };
}
