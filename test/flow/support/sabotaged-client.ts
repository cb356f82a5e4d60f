/**
 * A customer's client that keeps its own record, as old PHP does: a request whose answer it lost it repeats within
 * 60 s. It compares that record with the recipient's phone and with SQL over `transfers`.
 */
import { z } from "zod";
import { OLD_SEND_PATH } from "../../../session-host/local/product.ts";
import type { Saboteurs } from "./saboteur.ts";
import type { Customer, Stack } from "./stack.ts";

export interface SendRecord {
  to: string;
  text: string;
  /** The ids of every answer that said 10; a repeat should hear the same one. */
  acceptedIds: number[];
  /** The last code heard for the packet; null when no answer ever came. */
  code: number | null;
  tries: number;
  /** False: a client that never asks again when its answer is lost. */
  repeats: boolean;
}

const TRIES_MAX = 6;
const REQUEST_TIMEOUT_MS = 15_000;
const ROUNDS_MAX = 40;
const STEP_MS = 61_000;

const answerShape = z.object({
  sending_respon: z.tuple([
    z.object({
      globalstatus: z.number(),
      datapacket: z
        .tuple([
          z.object({ packet: z.object({ sendingid: z.number(), sendingstatus: z.number() }) }),
        ])
        .optional(),
    }),
  ]),
});
const screenShape = z.array(z.object({ id: z.string(), text: z.string() }));
const evidenceShape = z.object({
  unexpected: z.array(z.unknown()),
  keyReuses: z.number(),
  keyUsedAlready: z.number(),
  decryptFailures: z.number(),
});
const endShape = z.object({ ends: z.number() });

export class SabotagedClient {
  readonly #stack: Stack;
  readonly #customer: Customer;
  readonly #saboteurs: Saboteurs;

  constructor(stack: Stack, customer: Customer, saboteurs: Saboteurs) {
    this.#stack = stack;
    this.#customer = customer;
    this.#saboteurs = saboteurs;
  }

  async send(to: string, text: string, { repeats = true } = {}): Promise<SendRecord> {
    const record: SendRecord = { to, text, acceptedIds: [], code: null, tries: 0, repeats };
    while (record.tries < (repeats ? TRIES_MAX : 1)) {
      record.tries += 1;
      const answer = await this.#post(to, text);
      if (answer === null) continue;
      record.code = answer.code;
      if (answer.code === 10) record.acceptedIds.push(answer.id);
      return record;
    }
    return record;
  }

  /** Moves time, wakes the watcher, and waits until every accepted message of the record has its end. */
  async untilEnded(record: SendRecord): Promise<void> {
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const isOver = await this.#stack
        .until("a message to end", async () => ((await this.#isEnded(record)) ? true : null), 1_500)
        .catch(() => false);
      if (isOver) return;
      await this.#saboteurs.moveTime(STEP_MS);
      await this.#stack.product.runCron();
    }
    throw new Error(`no end for "${record.text}" after ${ROUNDS_MAX} rounds`);
  }

  async untilConnected(): Promise<void> {
    await this.#stack.until("the device to be connected", async () => {
      const device = await this.#stack.product.device(this.#customer.apiKey, this.#customer.waid);
      return device.ok && device.value.status === "connected" ? true : null;
    });
  }

  /** Until no hold is open. */
  async untilQuiet(): Promise<void> {
    await this.#stack.until("every hold to end", async () =>
      (await this.#openHolds()) === 0 ? true : null,
    );
  }

  /** Where the phones say something else than the client's record; empty when all is well. */
  async disagreements(records: readonly SendRecord[]): Promise<string[]> {
    const found: string[] = [];
    for (const record of records) {
      const onScreen = await this.#onScreen(record);
      const accepted = new Set(record.acceptedIds);
      if (accepted.size > 1) found.push(`"${record.text}": two ids for one request`);
      const isAnswered = record.code !== null;
      if (!isAnswered && record.repeats) found.push(`"${record.text}": no answer`);
      const least = accepted.size === 0 ? 0 : 1;
      const most = isAnswered ? least : 1;
      if (onScreen.length < least || onScreen.length > most) {
        found.push(
          `"${record.text}": code ${record.code}, on the phone ${onScreen.length} time(s), ` +
            `WhatsApp ids ${new Set(onScreen.map((one) => one.id)).size}`,
        );
      }
    }
    return found;
  }

  /** What SQL over `transfers` finds wrong. */
  async bookErrors(): Promise<string[]> {
    const odd = await this.#saboteurs.sql(
      `SELECT ref AS what FROM transfers WHERE leg IN ('hold', 'end')
       GROUP BY ref HAVING count(*) <> 2
       UNION ALL
       SELECT 'balance of account ' || a.id FROM accounts a WHERE
         a.available <> (SELECT coalesce(sum(CASE WHEN credit = 'available' THEN amount ELSE 0 END
           - CASE WHEN debit = 'available' THEN amount ELSE 0 END), 0) FROM transfers t WHERE t.account_id = a.id)
         OR a.held <> (SELECT coalesce(sum(CASE WHEN credit = 'held' THEN amount ELSE 0 END
           - CASE WHEN debit = 'held' THEN amount ELSE 0 END), 0) FROM transfers t WHERE t.account_id = a.id)`,
      z.object({ what: z.string() }),
    );
    return odd.map((row) => row.what);
  }

  /** What WhatsApp's side saw that should never be. */
  async wireErrors(): Promise<string[]> {
    const answer = await this.#stack.control("GET", "/evidence", undefined, evidenceShape);
    if (!answer.ok) throw new Error("the simulator did not answer");
    return Object.entries(answer.value)
      .filter(([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0))
      .map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  }

  async #isEnded(record: SendRecord): Promise<boolean> {
    if ((await this.#openHolds()) > 0) return false;
    if (record.acceptedIds.length === 0) return true;
    return (await this.#onScreen(record)).length > 0;
  }

  async #openHolds(): Promise<number> {
    const rows = await this.#saboteurs.sql(
      `SELECT count(*) AS ends FROM transfers h WHERE h.leg = 'hold'
       AND NOT EXISTS (SELECT 1 FROM transfers e WHERE e.ref = h.ref AND e.leg = 'end')`,
      endShape,
    );
    return rows[0]?.ends ?? 0;
  }

  /** How often the recipient's phone shows the text. */
  async shown(record: SendRecord): Promise<number> {
    return (await this.#onScreen(record)).length;
  }

  async #onScreen(record: SendRecord): Promise<{ id: string; text: string }[]> {
    const path = `/messages?number=${record.to}&with=${this.#customer.phone}`;
    const answer = await this.#stack.control("GET", path, undefined, screenShape);
    if (!answer.ok) throw new Error("the simulator did not answer");
    return answer.value.filter((one) => one.text === record.text);
  }

  /** Null when the answer was lost: no HTTP answer, or one that is not the product's. */
  async #post(to: string, text: string): Promise<{ code: number; id: number } | null> {
    try {
      const response = await fetch(`${this.#stack.url}${OLD_SEND_PATH}`, {
        method: "POST",
        body: JSON.stringify({
          apikey: this.#customer.apiKey,
          waid: this.#customer.waid,
          datapacket: [{ number: to, message: text, sendingdatetime: "" }],
        }),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      if (response.status !== 200) return null;
      const [global] = answerShape.parse(await response.json()).sending_respon;
      const packet = global.datapacket?.[0].packet;
      if (packet === undefined) return { code: global.globalstatus, id: 0 };
      return { code: packet.sendingstatus, id: packet.sendingid };
    } catch (error) {
      if (error instanceof z.ZodError) throw error;
      return null;
    }
  }
}
