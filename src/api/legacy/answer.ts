/**
 * The bytes that old clients read: key names, nesting, order, number or string. Always HTTP 200. Renders what it
 * is given and decides nothing.
 */
import type { RequestFailure } from "../../domain/failure.ts";
import type { BalanceView } from "../../gateway/check-balance.ts";
import type { PacketAnswer } from "../../gateway/send-messages.ts";
import { GLOBAL_SUCCESS, globalStatus, SENDING_SUCCESS, sendingStatus } from "./failure.ts";

/** What unlimited looks like to a client that counts. */
const UNLIMITED = "999999999";

export function sendRefused(failure: RequestFailure): Response {
  return answer({ sending_respon: [globalStatus(failure)] });
}

/** `written`: each packet's number as it came; shown for the refused ones. */
export function sendAnswered(packets: PacketAnswer[], written: string[]): Response {
  const datapacket = packets.map((packet, index) => ({
    packet: packet.ok
      ? {
          number: packet.value.to,
          sendingid: packet.value.id,
          ...SENDING_SUCCESS,
          price: packet.value.priceRupiah,
        }
      : {
          number: written[index] ?? "",
          sendingid: 0,
          ...sendingStatus(packet.error),
          price: 0,
        },
  }));
  return answer({ sending_respon: [{ ...GLOBAL_SUCCESS, datapacket }] });
}

export function balanceRefused(failure: RequestFailure): Response {
  const response = answer({ balance_respon: [globalStatus(failure)] });
  if (failure.reason === "balance_check_too_soon") {
    response.headers.set("Retry-After", String(Math.ceil(failure.retryAfterMs / 1000)));
  }
  return response;
}

export function balanceAnswered(balance: BalanceView): Response {
  const { spendableRupiah, balanceExpiresOn, waid, messagesLeft, packageExpiresOn } = balance;
  return answer({
    balance_respon: [
      {
        ...GLOBAL_SUCCESS,
        Balance: String(spendableRupiah),
        Expired: balanceExpiresOn,
        "WhatsApp Id": waid,
        "WhatsApp Balance": messagesLeft === null ? UNLIMITED : String(messagesLeft),
        "WhatsApp Expired": packageExpiresOn,
      },
    ],
  });
}

function answer(body: unknown): Response {
  return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
}
