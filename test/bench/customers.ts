/** Customers, recipients and texts of the bench: with money for everything, and no text sent twice. */
import { z } from "zod";
import { OLD_SEND_PATH } from "../../session-host/local/product.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import type { Target } from "./load.ts";

/** As `npm run host` and the image start it. */
export const HOST_ENV = { NODE_OPTIONS: "--max-semi-space-size=4" };

const RUPIAH = 900_000_000;
const RECIPIENTS = 40;

/** Plan C has no quota. */
export function richCustomer(stack: Stack, phone: string): Promise<Customer> {
  return stack.customer({ phone, rupiah: RUPIAH, plan: "C" });
}

export const recipients: readonly string[] = Array.from(
  { length: RECIPIENTS },
  (_, index) => `62813100${String(1_000 + index)}`,
);

let texts = 0;

/** As long as most texts are. */
export function nextText(): string {
  texts += 1;
  return `Halo, pesanan nomor ${texts} sudah kami terima dan segera dikirim. Terima kasih!`;
}

let turn = 0;

export function nextRecipient(): string {
  turn += 1;
  return recipients[turn % recipients.length] ?? "";
}

/** One text by the old endpoint; `dueAt` in the old API's form, empty for now. */
export function bodyOf(customer: Customer, dueAt: string): string {
  return JSON.stringify({
    apikey: customer.apiKey,
    waid: customer.waid,
    datapacket: [{ number: nextRecipient(), message: nextText(), sendingdatetime: dueAt }],
  });
}

/** One text a request by the old endpoint, of each customer in turn; right is an acceptance on both levels. */
export function sendTarget(stack: Stack, ...customers: [Customer, ...Customer[]]): Target {
  let sent = 0;
  return {
    url: stack.url,
    path: OLD_SEND_PATH,
    pid: stack.worker.pid,
    nextBody: () => {
      sent += 1;
      return bodyOf(customers[sent % customers.length] ?? customers[0], "");
    },
    fault: (status, body) =>
      status === 200 && isAccepted(body) ? null : `a send was answered ${status}: ${body}`,
  };
}

const acceptance = z.object({
  sending_respon: z.tuple([
    z.object({
      globalstatus: z.literal(10),
      datapacket: z.tuple([
        z.object({
          packet: z.object({ sendingstatus: z.literal(10), sendingid: z.number().positive() }),
        }),
      ]),
    }),
  ]),
});

/** One packet, accepted on both levels. */
export function isAccepted(body: string): boolean {
  return acceptance.safeParse(JSON.parse(body)).success;
}
