/**
 * Cuts the client's byte stream into frames: an optional edge-routing preamble, the four intro bytes, then frames of
 * a 3-byte length and a payload. One WebSocket message may hold any slice of that stream. Decrypts nothing.
 */

export const INTRO = Buffer.from([0x57, 0x41, 6, 3]);

const FRAME_LENGTH_MAX = 4 * 1024 * 1024;

export class FrameError extends Error {}

export class FrameReader {
  #pending: Buffer = Buffer.alloc(0);
  #introSeen = false;

  /** Every frame that is complete after `chunk`. Throws FrameError on bytes that are not this protocol. */
  push(chunk: Buffer): Buffer[] {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    if (!this.#introSeen && !this.#takeIntro()) return [];
    const frames: Buffer[] = [];
    while (this.#pending.length >= 3) {
      const length = this.#pending.readUIntBE(0, 3);
      if (length > FRAME_LENGTH_MAX) throw new FrameError("frame too long");
      if (this.#pending.length < 3 + length) break;
      frames.push(this.#pending.subarray(3, 3 + length));
      this.#pending = this.#pending.subarray(3 + length);
    }
    return frames;
  }

  #takeIntro(): boolean {
    const bytes = this.#pending;
    let start = 0;
    if (bytes[0] === 0x45 && bytes[1] === 0x44) {
      if (bytes.length < 7) return false;
      start = 7 + bytes.readUIntBE(4, 3);
    }
    if (bytes.length < start + INTRO.length) return false;
    if (!bytes.subarray(start, start + INTRO.length).equals(INTRO))
      throw new FrameError("unknown intro");
    this.#pending = bytes.subarray(start + INTRO.length);
    this.#introSeen = true;
    return true;
  }
}

export function frame(payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(3 + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes.set(payload, 3);
  return bytes;
}
