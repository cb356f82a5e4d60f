/**
 * Whose address is that? WhatsApp names one contact by number or by LID, and the two are only equal where a
 * mapping is known. Pure but for the lookup it is handed. Refuses to guess: an unknown LID is nobody.
 */
export interface OwnAddresses {
  phone: string | null;
  lid: string | null;
}

/** Finds the phone number a LID is mapped to. */
export type PhoneOfLid = (lid: string) => string | null;

/** The user part of a phone-number address, or null for any other kind. */
export function phoneOf(jid: string | null): string | null {
  return jid !== null && jid.endsWith("@s.whatsapp.net") ? userOf(jid) : null;
}

/** The LID itself, without device part, or null for any other kind. */
export function lidOf(jid: string | null): string | null {
  return jid !== null && jid.endsWith("@lid") ? `${userOf(jid)}@lid` : null;
}

/** True when `chat` (or, for a LID, the number the host knows for it) is this recipient. */
export function isRecipient(
  recipient: string,
  chat: string,
  chatPhone: string | null,
  phoneOfLid: PhoneOfLid,
): boolean {
  const lid = lidOf(chat);
  const phone = lid === null ? phoneOf(chat) : (phoneOf(chatPhone) ?? phoneOfLid(lid));
  return phone === recipient;
}

/** True when the address is the paired phone itself or one of its companions. */
export function isOwn(chat: string, own: OwnAddresses): boolean {
  const phone = phoneOf(chat);
  if (phone !== null) return phone === own.phone;
  const lid = lidOf(chat);
  return lid !== null && lid === lidOf(own.lid);
}

function userOf(jid: string): string {
  return jid.slice(0, jid.indexOf("@")).replace(/[:_].*$/, "");
}
