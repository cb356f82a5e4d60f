/**
 * A customer's old PHP: posts packets, and a request whose answer it lost it posts again as it was, as often as it
 * takes, within the minute in which the product knows it again. Writes down what it heard and nothing else.
 */
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { callJson } from "../../session-host/local/http-call.ts";
import { OLD_SEND_PATH } from "../../session-host/local/product.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { wallTime } from "../flow/support/wall-time.ts";
import type { Customer } from "../flow/support/stack.ts";
import type { Chance } from "./chance.ts";
import { ACCEPTED, SYSTEM_ERROR } from "./record.ts";
import type { SentText } from "./record.ts";

const TIMEOUT_MS = 12_000;
/** Some hang up at once: the request is out, and whatever it becomes, they do not hear of it. */
const IMPATIENT_SHARE = 0.05;
const IMPATIENT_MAX_MS = 60;
/** The product knows a text again for a minute from its acceptance, which is later than the first request. */
const REPEAT_WITHIN_MS = 45_000;
const CANCEL_TRIES_MAX = 4;

const packetAnswer = z.object({ sendingid: z.number(), sendingstatus: z.number() });
const sendAnswer = z.object({
  sending_respon: z.tuple([
    z.object({
      globalstatus: z.number(),
      datapacket: z.array(z.object({ packet: packetAnswer })).optional(),
    }),
  ]),
});
const cancelAnswer = z.object({ status: z.string() });

interface Heard {
  code: number;
  id: number | null;
}

export class OldClient {
  readonly #url: string;
  readonly #customer: Customer;
  readonly #chance: Chance;

  constructor(url: string, customer: Customer, chance: Chance) {
    this.#url = url;
    this.#customer = customer;
    this.#chance = chance;
  }

  /** One request of one to five packets, until it is answered or too old to be repeated. */
  async send(texts: readonly SentText[], key = this.#customer.apiKey): Promise<void> {
    const lastMs = systemClock() + REPEAT_WITHIN_MS;
    for (;;) {
      const heard = await this.#post(texts, key);
      if (heard !== null) {
        texts.forEach((text, at) => note(text, heard[at] ?? { code: SYSTEM_ERROR, id: null }));
        return;
      }
      for (const text of texts) text.lost += 1;
      await pause(this.#chance.whole(300, 3_000));
      if (systemClock() >= lastMs) return;
    }
  }

  /** Asks until it is told; what was told is kept in the record. */
  async cancel(text: SentText): Promise<void> {
    const [id] = text.ids;
    const url = `${this.#url}/v1/messages/${id}/cancel`;
    const call = { method: "POST" as const, url, token: this.#customer.apiKey, body: {} };
    for (let tries = 0; tries < CANCEL_TRIES_MAX && text.cancel !== "done"; tries += 1) {
      const answer = await callJson(call, cancelAnswer);
      if (answer.ok) text.cancel = answer.value.status === "cancel" ? "done" : "unknown";
      else if (answer.error.reason !== "refused") text.cancel = "asked";
      else if (answer.error.status === 409) text.cancel = "late";
      else text.cancel = answer.error.status >= 500 ? "asked" : "unknown";
      if (text.cancel !== "asked") return;
      await pause(this.#chance.whole(300, 2_000));
    }
  }

  /** Null when the answer was lost: none, not whole, or not the product's. */
  async #post(texts: readonly SentText[], apikey: string): Promise<Heard[] | null> {
    const isImpatient = this.#chance.happens(IMPATIENT_SHARE);
    const timeoutMs = isImpatient ? this.#chance.whole(1, IMPATIENT_MAX_MS) : TIMEOUT_MS;
    const datapacket = texts.map(({ to, text, dueMs }) => ({
      number: to,
      message: text,
      sendingdatetime: dueMs === null ? "" : wallTime(dueMs).written,
    }));
    try {
      const response = await fetch(`${this.#url}${OLD_SEND_PATH}`, {
        method: "POST",
        body: JSON.stringify({ apikey, waid: this.#customer.waid, datapacket }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (response.status !== 200) return null;
      const [answer] = sendAnswer.parse(await response.json()).sending_respon;
      const packets = answer.datapacket ?? [];
      return texts.map((_, at) => {
        const packet = packets[at]?.packet;
        return packet === undefined
          ? { code: answer.globalstatus, id: null }
          : { code: packet.sendingstatus, id: packet.sendingid };
      });
    } catch (error) {
      if (error instanceof z.ZodError) throw error;
      return null;
    }
  }
}

function note(text: SentText, { code, id }: Heard): void {
  text.codes.push(code);
  if (code === ACCEPTED && id !== null && !text.ids.includes(id)) text.ids.push(id);
}
