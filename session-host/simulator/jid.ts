/**
 * Addresses on the wire: `6281…@s.whatsapp.net` (phone number, PN), `1…@lid` (hidden id, LID), each with an
 * optional `:device`. Knows nothing about who exists.
 */

export const SERVER = "@s.whatsapp.net";

export type JidServer = "s.whatsapp.net" | "lid";

export type Jid = { user: string; device: number; server: JidServer };

/** Undefined for anything that is not one person's address (groups, broadcasts, the server itself). */
export function parseJid(text: string | undefined): Jid | undefined {
  const match = /^(\d+)(?::(\d+))?@(s\.whatsapp\.net|lid)$/.exec(text ?? "");
  if (match === null) return undefined;
  const [, user, device, server] = match;
  if (user === undefined) return undefined;
  return {
    user,
    device: device === undefined ? 0 : Number(device),
    server: server === "lid" ? "lid" : "s.whatsapp.net",
  };
}

export function formatJid(user: string, server: JidServer, device = 0): string {
  return device === 0 ? `${user}@${server}` : `${user}:${device}@${server}`;
}

/** A number as people type it in Indonesia (`0812…`, `+62 812…`), as WhatsApp writes it (`62812…`). */
export function normalizeNumber(text: string): string | undefined {
  const digits = text.replace(/[\s().+-]/g, "");
  if (!/^\d+$/.test(digits)) return undefined;
  const international = digits.startsWith("0") ? `62${digits.slice(1)}` : digits;
  return /^[1-9]\d{7,14}$/.test(international) ? international : undefined;
}
