/**
 * Reads the clear header of a Signal message: which ratchet key and counter it was made with, and the message without
 * the first-message envelope (the same message key may be used with and without it). Written by hand from
 * the message format, so that key reuse is counted by something other than the library that made the message.
 */

export type CiphertextHeader = { ratchetKey: string; counter: number; message: Buffer };

export type EncType = "pkmsg" | "msg";

export function readHeader(type: EncType, ciphertext: Uint8Array): CiphertextHeader | undefined {
  const outer = Buffer.from(ciphertext);
  const message = type === "pkmsg" ? bytesField(outer.subarray(1), 4) : outer;
  if (message === undefined || message.length < 10) return undefined;
  const body = message.subarray(1, message.length - 8);
  const ratchetKey = bytesField(body, 1);
  if (ratchetKey === undefined) return undefined;
  return {
    ratchetKey: ratchetKey.toString("base64"),
    counter: integerField(body, 2) ?? 0,
    message,
  };
}

/** The identity key a first message (`pkmsg`) carries, with its leading type byte. */
export function readSenderIdentity(ciphertext: Uint8Array): Buffer | undefined {
  return bytesField(Buffer.from(ciphertext).subarray(1), 3);
}

type Field = { number: number; integer: number } | { number: number; bytes: Buffer };

function bytesField(message: Buffer, number: number): Buffer | undefined {
  const field = fields(message).find((one) => one.number === number);
  return field !== undefined && "bytes" in field ? field.bytes : undefined;
}

function integerField(message: Buffer, number: number): number | undefined {
  const field = fields(message).find((one) => one.number === number);
  return field !== undefined && "integer" in field ? field.integer : undefined;
}

/** The fields of a protobuf message, as far as it is well formed. */
function fields(message: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = message[at++];
      if (byte === undefined) return Number.NaN;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    if (key % 8 === 0) {
      found.push({ number, integer: varint() });
    } else if (key % 8 === 2) {
      const length = varint();
      found.push({ number, bytes: message.subarray(at, at + length) });
      at += length;
    } else {
      return found;
    }
  }
  return found;
}
