/**
 * The simulator's phones over its control API: the witness of what really arrived. It names the demo's numbers,
 * scans a QR as a person would, and reads screens.
 */
import { z } from "zod";
import type { Result } from "../../src/domain/result.ts";
import { callJson } from "./http-call.ts";
import type { CallFailure } from "./http-call.ts";

/** The number whose WhatsApp the demo drives. */
export const DEMO_PHONE = { number: "6281234567001", name: "Demo shop" };

/** People to write to. */
export const CONTACTS = [
  { number: "6281310001001", name: "Budi" },
  { number: "6281310001002", name: "Siti" },
  { number: "6281310001003", name: "Agus" },
] as const;

const phone = z.object({ linked: z.array(z.object({ online: z.boolean() })) });
const screenTexts = z.array(
  z.object({ text: z.string(), direction: z.string(), atMs: z.number() }),
);

export class SimulatedPhones {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async isUp(): Promise<boolean> {
    return (await callJson({ method: "GET", url: `${this.#url}/health` }, z.unknown())).ok;
  }

  name(number: string, name: string): Promise<Result<unknown, CallFailure>> {
    return callJson(
      { method: "POST", url: `${this.#url}/phones/${number}`, body: { name } },
      z.unknown(),
    );
  }

  /** From now on this person answers every text. */
  letAnswer(number: string, text: string): Promise<Result<unknown, CallFailure>> {
    const body = { behaviour: { autoReply: text } };
    return callJson({ method: "POST", url: `${this.#url}/phones/${number}`, body }, z.unknown());
  }

  /** True when the phone accepted the QR and linked the client. */
  async scan(number: string, qr: string): Promise<boolean> {
    const url = `${this.#url}/phones/${number}/scan`;
    return (await callJson({ method: "POST", url, body: { qr } }, z.unknown())).ok;
  }

  /** Whether a linked client of this number is logged in at the simulator. */
  async hasClientOnline(number: string): Promise<boolean> {
    const answer = await callJson({ method: "GET", url: `${this.#url}/phones/${number}` }, phone);
    return answer.ok && answer.value.linked.some((client) => client.online);
  }

  /** The newest such text that `number` got from `from`, as its screen shows it. */
  async findOnScreen(number: string, from: string, text: string): Promise<string | null> {
    const url = `${this.#url}/messages?number=${number}&with=${from}`;
    const answer = await callJson({ method: "GET", url }, screenTexts);
    if (!answer.ok) return null;
    const shown = answer.value.findLast((one) => one.direction === "in" && one.text === text);
    return shown?.text ?? null;
  }
}
