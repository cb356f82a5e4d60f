/** Starts bare Baileys as a process of its own and gives it texts. */
import { join } from "node:path";
import type { Stack } from "../flow/support/stack.ts";
import { StackProcess } from "../flow/support/stack-process.ts";
import { bareReport } from "./bare-settings.ts";
import type { BareSettings, BareTexts } from "./bare-settings.ts";

const PAIR_TIMEOUT_MS = 30_000;
const SEND_TIMEOUT_MS = 120_000;

export class BareBaileys {
  readonly #process: StackProcess;
  readonly #url: Promise<string>;

  constructor(settings: BareSettings) {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => reject(new Error("bare Baileys did not pair")), PAIR_TIMEOUT_MS);
    this.#url = promise.finally(() => clearTimeout(timer));
    this.#process = new StackProcess(
      {
        name: "host",
        script: join(import.meta.dirname, "bare-baileys-worker.ts"),
        env: { BARE: JSON.stringify(settings) },
      },
      (message) => resolve(`http://127.0.0.1:${bareReport.parse(message).port}/`),
    );
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Ends when all were written to the socket; the first call waits for the pairing. */
  async send(texts: BareTexts): Promise<void> {
    const answer = await fetch(await this.#url, {
      method: "POST",
      body: JSON.stringify(texts),
      signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
    });
    if (!answer.ok) throw new Error("bare Baileys did not send");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
  }
}

export function bareBaileysOn(stack: Stack, phone: string): BareBaileys {
  return new BareBaileys({
    whatsAppUrl: stack.whatsAppUrl,
    simulatorUrl: stack.simulator?.url ?? "",
    phone,
  });
}
