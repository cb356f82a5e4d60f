/** SHA-256 of a text as lower-case hex: how keys and tokens of 128 random bits or more are stored. Not for guessable things. */
export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
