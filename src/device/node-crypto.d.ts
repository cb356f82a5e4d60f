/** As much of it as the seal of texts at a device needs: it must not wait, which Web Crypto does. */
declare module "node:crypto" {
  interface TextCipher {
    setAAD(data: Uint8Array): unknown;
    update(data: Uint8Array): Uint8Array;
    final(): Uint8Array;
    getAuthTag(): Uint8Array;
  }
  interface TextDecipher extends Omit<TextCipher, "getAuthTag"> {
    setAuthTag(tag: Uint8Array): unknown;
  }
  interface SecretKey {
    readonly type: "secret";
  }
  export function createSecretKey(key: Uint8Array): SecretKey;
  export function createCipheriv(
    algorithm: "aes-256-gcm",
    key: SecretKey,
    iv: Uint8Array,
  ): TextCipher;
  export function createDecipheriv(
    algorithm: "aes-256-gcm",
    key: SecretKey,
    iv: Uint8Array,
  ): TextDecipher;
  export function hkdfSync(
    digest: "sha256",
    key: Uint8Array,
    salt: Uint8Array,
    info: Uint8Array,
    length: number,
  ): ArrayBuffer;
}
