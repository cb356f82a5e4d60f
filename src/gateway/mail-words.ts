/** What a mail to a customer says, in Indonesian and English. Pure. */
import type { WaitingMail } from "../directory/account-mails.ts";

export interface MailWords {
  subject: string;
  text: string;
}

/** Null for what no mail is written about. */
export function mailWords({ type, data }: Pick<WaitingMail, "type" | "data">): MailWords | null {
  if (type !== "endpoint.disabled") return null;
  const facts = {
    url: withoutQuery(String(data["url"])),
    endpoint: String(data["endpoint"]),
    since: typeof data["failing_since"] === "string" ? data["failing_since"] : null,
  };
  switch (data["stage"]) {
    case "warning":
      return warning(facts);
    case "disabled":
      return data["reason"] === "gone" ? gone(facts) : disabled(facts);
    default:
      return null;
  }
}

interface Facts {
  url: string;
  endpoint: string;
  since: string | null;
}

function warning({ url, endpoint, since }: Facts): MailWords {
  return {
    subject: "Webhook Anda gagal / Your webhook fails",
    text: [
      `Pengiriman ke webhook Anda ${url} (${endpoint}) gagal sejak ${since ?? "-"}. Bila tidak ada yang berhasil dalam 24 jam, pengiriman dihentikan. Kejadian yang menunggu tetap disimpan.`,
      `Deliveries to your webhook ${url} (${endpoint}) have failed since ${since ?? "-"}. Unless one succeeds within 24 hours, they stop. What waits is kept.`,
    ].join("\n\n"),
  };
}

function disabled({ url, endpoint, since }: Facts): MailWords {
  return {
    subject: "Webhook Anda dihentikan / Your webhook was stopped",
    text: [
      `Webhook Anda ${url} (${endpoint}) dihentikan: semua pengiriman gagal sejak ${since ?? "-"}. Perbaiki server Anda, lalu simpan webhook dengan enabled: true; kejadian yang menunggu akan dikirim.`,
      `Your webhook ${url} (${endpoint}) was stopped: every delivery has failed since ${since ?? "-"}. Mend your server, then save the webhook with enabled: true; what waits is delivered then.`,
    ].join("\n\n"),
  };
}

function gone({ url, endpoint }: Facts): MailWords {
  return {
    subject: "Webhook Anda dihentikan / Your webhook was stopped",
    text: [
      `Webhook Anda ${url} (${endpoint}) dihentikan: server Anda menjawab 410 (tidak ada lagi). Simpan webhook dengan enabled: true untuk membukanya kembali.`,
      `Your webhook ${url} (${endpoint}) was stopped: your server answered 410 (gone). Save the webhook with enabled: true to open it again.`,
    ].join("\n\n"),
  };
}

/** What follows a question mark may be a secret. */
function withoutQuery(url: string): string {
  return url.split(/[?#]/)[0] ?? "";
}
