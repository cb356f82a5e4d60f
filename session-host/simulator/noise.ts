/**
 * The server's side of Noise_XX_25519_AESGCM_SHA256, written from the specification with Node's crypto only, so that
 * it checks the client's implementation instead of sharing it. Holds no sockets and parses no stanzas.
 */

import { createCipheriv, createDecipheriv, createHash, hkdfSync } from "node:crypto";
import { agree, type KeyPair } from "./curve.ts";
import { INTRO } from "./frames.ts";

const PROTOCOL_NAME = Buffer.from("Noise_XX_25519_AESGCM_SHA256\0\0\0\0");
const TAG_LENGTH = 16;
const NOTHING = Buffer.alloc(0);

function seal(key: Buffer, counter: number, plaintext: Uint8Array, associated: Buffer): Buffer {
  const cipher = createCipheriv("aes-256-gcm", key, nonce(counter));
  cipher.setAAD(associated);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Buffer, counter: number, sealed: Uint8Array, associated: Buffer): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, nonce(counter));
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_LENGTH));
  return Buffer.concat([
    decipher.update(sealed.subarray(0, sealed.length - TAG_LENGTH)),
    decipher.final(),
  ]);
}

function nonce(counter: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(counter, 8);
  return bytes;
}

function split(chainingKey: Buffer, input: Uint8Array): [Buffer, Buffer] {
  const bytes = Buffer.from(hkdfSync("sha256", input, chainingKey, NOTHING, 64));
  return [bytes.subarray(0, 32), bytes.subarray(32)];
}

/** One direction of a finished handshake. */
export class CipherState {
  readonly #key: Buffer;
  #counter = 0;

  constructor(key: Buffer) {
    this.#key = key;
  }

  seal(plaintext: Uint8Array): Buffer {
    return seal(this.#key, this.#counter++, plaintext, NOTHING);
  }

  open(sealed: Uint8Array): Buffer {
    return open(this.#key, this.#counter++, sealed, NOTHING);
  }
}

export type ServerHello = { ephemeral: Buffer; static: Buffer; payload: Buffer };

/** Responder: `hello()` answers the first message, `finish()` reads the second; any exception means "refuse". */
export class NoiseResponder {
  readonly #serverStatic: KeyPair;
  readonly #ephemeral: KeyPair;
  #hash: Buffer;
  #chainingKey: Buffer = PROTOCOL_NAME;
  #key: Buffer = PROTOCOL_NAME;
  #counter = 0;

  constructor(serverStatic: KeyPair, ephemeral: KeyPair) {
    this.#serverStatic = serverStatic;
    this.#ephemeral = ephemeral;
    this.#hash = PROTOCOL_NAME;
    this.#mixHash(INTRO);
  }

  hello(clientEphemeral: Uint8Array, certificateChain: Uint8Array): ServerHello {
    this.#mixHash(clientEphemeral);
    this.#mixHash(this.#ephemeral.publicKey);
    this.#mixKey(agree(this.#ephemeral.privateKey, clientEphemeral));
    const sealedStatic = this.#seal(this.#serverStatic.publicKey);
    this.#mixKey(agree(this.#serverStatic.privateKey, clientEphemeral));
    return {
      ephemeral: this.#ephemeral.publicKey,
      static: sealedStatic,
      payload: this.#seal(certificateChain),
    };
  }

  finish(
    sealedStatic: Uint8Array,
    sealedPayload: Uint8Array,
  ): { clientStatic: Buffer; payload: Buffer; receive: CipherState; send: CipherState } {
    const clientStatic = this.#open(sealedStatic);
    this.#mixKey(agree(this.#ephemeral.privateKey, clientStatic));
    const payload = this.#open(sealedPayload);
    const [fromClient, toClient] = split(this.#chainingKey, NOTHING);
    return {
      clientStatic,
      payload,
      receive: new CipherState(fromClient),
      send: new CipherState(toClient),
    };
  }

  #mixHash(data: Uint8Array): void {
    this.#hash = createHash("sha256").update(this.#hash).update(data).digest();
  }

  #mixKey(input: Uint8Array): void {
    [this.#chainingKey, this.#key] = split(this.#chainingKey, input);
    this.#counter = 0;
  }

  #seal(plaintext: Uint8Array): Buffer {
    const sealed = seal(this.#key, this.#counter++, plaintext, this.#hash);
    this.#mixHash(sealed);
    return sealed;
  }

  #open(sealed: Uint8Array): Buffer {
    const plaintext = open(this.#key, this.#counter++, sealed, this.#hash);
    this.#mixHash(sealed);
    return plaintext;
  }
}
