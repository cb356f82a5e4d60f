/**
 * Sends waiting mails to customers, a bounded number a run: again with growing pauses while the service fails, for two
 * days; not again when it refuses. A mail may be sent twice when its answer is lost, under one id.
 */
import {
  dueMails,
  mailGoesAgain,
  mailIsDone,
  type WaitingMail,
} from "../directory/account-mails.ts";
import { logAlert, logInfo, logWarning } from "../domain/log.ts";
import type { Mailer } from "../outgoing/mailer.ts";
import { mailWords } from "./mail-words.ts";

const MAILS_A_RUN = 20;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The pause after each try. */
const RETRY_AFTER_MS: readonly number[] = [
  MINUTE_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
  24 * HOUR_MS,
];

export interface MailTools {
  db: D1Database;
  /** Null: mail is not configured. */
  mailer: Mailer | null;
}

export async function mailAccounts({ db, mailer }: MailTools, nowMs: number): Promise<void> {
  for (const mail of await dueMails(db, nowMs, MAILS_A_RUN)) {
    const { id, email } = mail;
    const words = mailWords(mail);
    if (mailer === null || email === null || words === null) {
      await mailIsDone(db, id);
      continue;
    }
    const outcome = await mailer({ id: `kabar_mail_${id}_${mail.atMs}`, to: email, ...words });
    switch (outcome.kind) {
      case "taken":
        logInfo("mail sent", { mail: id });
        await mailIsDone(db, id);
        break;
      case "refused":
        logWarning("mail refused", { mail: id, why: outcome.why });
        await mailIsDone(db, id);
        break;
      case "failed":
        await later(db, mail, outcome.why, nowMs);
    }
  }
}

async function later(db: D1Database, mail: WaitingMail, why: string, nowMs: number): Promise<void> {
  const { id, attempts } = mail;
  const pauseMs = RETRY_AFTER_MS[attempts];
  if (pauseMs !== undefined) {
    logWarning("mail not sent", { mail: id, attempts: attempts + 1, why });
    await mailGoesAgain(db, id, attempts + 1, nowMs + pauseMs);
    return;
  }
  logAlert("mail given up", { mail: id, why });
  await mailIsDone(db, id);
}
