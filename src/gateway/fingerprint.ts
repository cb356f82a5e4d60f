/**
 * What D1 compares to find equal messages and equal texts: keyed, because the bare hash of an OTP can be guessed.
 * One-way; refuses to be a signature (it is cut to 64 bits).
 */
import { hexOf } from "../domain/hex.ts";
import { normalisedText } from "../domain/message-text.ts";
import { fromBase64 } from "./base64.ts";

const KEPT_BYTES = 8;

export class Fingerprint {
  readonly #secret: string;
  #key: CryptoKey | null = null;

  constructor(secretBase64: string) {
    this.#secret = secretBase64;
  }

  /** Equal for texts that a reader would call the same. D1 compares it within one account only. */
  text(text: string): Promise<string> {
    return this.#mac(["text", normalisedText(text)]);
  }

  /** Equal for the same text to the same number from the same device. */
  message(waid: string, to: string, text: string): Promise<string> {
    return this.#mac(["message", waid, to, text]);
  }

  /** Equal for the same name that a caller gave its request. D1 compares it within one account only. */
  repeatKey(name: string): Promise<string> {
    return this.#mac(["repeat", name]);
  }

  /** Equal for requests that say the same. */
  repeatPrint(said: (string | number | null)[]): Promise<string> {
    return this.#mac(["request", ...said.map((part) => JSON.stringify(part))]);
  }

  async #mac(parts: string[]): Promise<string> {
    this.#key ??= await crypto.subtle.importKey(
      "raw",
      fromBase64(this.#secret),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const mac = await crypto.subtle.sign(
      "HMAC",
      this.#key,
      new TextEncoder().encode(JSON.stringify(parts)),
    );
    return hexOf(new Uint8Array(mac, 0, KEPT_BYTES));
  }
}
