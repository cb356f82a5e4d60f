/**
 * One attempt to link a phone: its own fresh credentials, its QR strings or its code. Never continued after a
 * close, only begun anew: credentials that asked for a code would log in as a device that does not exist.
 */
import type { Fact } from "../src/bridge/device-frames.ts";
import type { Credentials, WhatsAppConnection } from "./whatsapp.ts";

/** WhatsApp's lives of the first QR and of each later one. */
const FIRST_QR_LIFE_MS = 60_000;
const LATER_QR_LIFE_MS = 20_000;
/** Six references are used up after this; a code lives as long as its run. */
const RUN_LIFE_MS = FIRST_QR_LIFE_MS + 5 * LATER_QR_LIFE_MS;

export class PairingRun {
  readonly credentials: Credentials;
  readonly #phone: string | null;
  #offered = 0;
  #finished = false;

  constructor(phone: string | null, credentials: Credentials) {
    this.#phone = phone;
    this.credentials = credentials;
  }

  /** The same wish, on another connection. */
  anew(credentials: Credentials): PairingRun {
    return new PairingRun(this.#phone, credentials);
  }

  /** The scan was verified and is durable; what follows is an ordinary login. */
  get finished(): boolean {
    return this.#finished;
  }

  finish(): void {
    this.#finished = true;
  }

  async onQr(qr: string, connection: WhatsAppConnection, nowMs: number): Promise<Fact[]> {
    this.#offered += 1;
    if (this.#phone === null) {
      const lifeMs = this.#offered === 1 ? FIRST_QR_LIFE_MS : LATER_QR_LIFE_MS;
      return [{ kind: "qr", qr, expiresAtMs: nowMs + lifeMs }];
    }
    if (this.#offered > 1) return [];
    const code = await connection.requestPairingCode(this.#phone).catch(() => null);
    return code === null ? [] : [{ kind: "pairing_code", code, expiresAtMs: nowMs + RUN_LIFE_MS }];
  }
}
