/**
 * Clients waiting to be linked: which QR reference and which announced pairing code belongs to which connection.
 * Holds no keys of its own; the linking itself is in linking.ts.
 */

import type { Connection } from "./connection.ts";

export type WaitingCode = {
  connection: Connection;
  ref: Buffer;
  wrappedEphemeral: Buffer;
  finish: ((bundle: Buffer) => void) | undefined;
};

export class LinkingDesk {
  readonly #randomBytes: (length: number) => Buffer;
  readonly #refs = new Map<string, Connection>();
  readonly #codes = new Map<string, WaitingCode>();

  constructor(randomBytes: (length: number) => Buffer) {
    this.#randomBytes = randomBytes;
  }

  issueRefs(connection: Connection, count: number): string[] {
    return Array.from({ length: count }, () => {
      const ref = `2@${this.#randomBytes(24).toString("base64url")}`;
      this.#refs.set(ref, connection);
      return ref;
    });
  }

  byRef(ref: string): Connection | undefined {
    return this.#refs.get(ref);
  }

  announceCode(number: string, connection: Connection, wrappedEphemeral: Buffer): WaitingCode {
    const waiting: WaitingCode = {
      connection,
      ref: this.#randomBytes(16),
      wrappedEphemeral,
      finish: undefined,
    };
    this.#codes.set(number, waiting);
    return waiting;
  }

  byNumber(number: string): WaitingCode | undefined {
    return this.#codes.get(number);
  }

  forget(connection: Connection): void {
    for (const [ref, one] of this.#refs) if (one === connection) this.#refs.delete(ref);
    for (const [number, one] of this.#codes)
      if (one.connection === connection) this.#codes.delete(number);
  }
}
