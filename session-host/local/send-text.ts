/** Sends one text by the old endpoint and reads its answer: the id of the message, or a sentence why there is none. */
import { err, ok } from "../../src/domain/result.ts";
import type { Result } from "../../src/domain/result.ts";
import { describeCallFailure } from "./http-call.ts";
import type { Product } from "./product.ts";

const SUCCESS = 10;

export async function sendText(
  product: Product,
  sender: { apiKey: string; waid: string },
  number: string,
  text: string,
): Promise<Result<number, string>> {
  const answer = await product.send(sender.apiKey, sender.waid, number, text);
  if (!answer.ok) return err(`the Worker gave ${describeCallFailure(answer.error)}.`);
  const [{ globalstatus, globalstatustext, datapacket }] = answer.value.sending_respon;
  if (globalstatus !== SUCCESS) return err(`${globalstatus} ${globalstatustext}.`);
  const packet = datapacket?.[0]?.packet;
  if (packet === undefined) return err("the answer names no message.");
  if (packet.sendingstatus !== SUCCESS) {
    return err(`${packet.sendingstatus} ${packet.sendingstatustext}.${hint(packet.sendingstatus)}`);
  }
  return ok(packet.sendingid);
}

/** What the old API's words leave out. */
function hint(code: number): string {
  switch (code) {
    case 60:
      return " A number looks like 628131000100, 08131000100 or +62 813 1000 100.";
    case 70:
      return " A text has 10 to 1,000 characters.";
    case 90:
      return " Is the phone paired?";
    default:
      return "";
  }
}
