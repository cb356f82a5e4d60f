/**
 * The sinks that the operator configured: a webhook, signed as customers' webhooks are, and a mailbox. Each takes a
 * digest or says that it did not; why is in the log. The address of the webhook keeps to the rules of all webhooks.
 */
import type { Config } from "../config.ts";
import type { Clock } from "../domain/clock.ts";
import { logWarning } from "../domain/log.ts";
import { checkWebhookUrl } from "../domain/webhook-url.ts";
import type { Mailer } from "../outgoing/mailer.ts";
import { post } from "../outgoing/post.ts";
import { signatureHeaders } from "../outgoing/signature.ts";
import type { Deliver } from "./courier.ts";
import { mailSubject, mailText, webhookBody } from "./digest.ts";

const USER_AGENT = "Kabar/1 (+alerts)";

export function webhookSink(config: Config, clock: Clock): Deliver {
  const { ALERT_WEBHOOK_URL: written, ALERT_WEBHOOK_SECRET: secret } = config;
  if (written === undefined || secret === undefined) return null;
  const rules = {
    allowHttp: config.WEBHOOK_LOOPBACK === "allow",
    allowLoopback: config.WEBHOOK_LOOPBACK === "allow",
    ownHosts: config.WEBHOOK_OWN_HOSTS,
  };
  return async (digest) => {
    const url = checkWebhookUrl(written, rules);
    if (!url.ok) {
      logWarning("alert webhook not allowed", { why: url.error });
      return false;
    }
    const body = webhookBody(digest);
    const request = {
      url: url.value,
      headers: {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        ...signatureHeaders([secret], digest.id, clock(), body),
      },
      body,
    };
    const end = await post("alerts.post", request, clock, new AbortController());
    if (end.kind === "answered" && end.status >= 200 && end.status < 300) return true;
    const status = end.kind === "answered" ? end.status : null;
    logWarning("alert webhook failed", { end: end.kind, status });
    return false;
  };
}

export function mailSink(config: Config, mailer: Mailer | null): Deliver {
  const { ALERT_MAIL_TO: to } = config;
  if (to === undefined || mailer === null) return null;
  return async (digest) => {
    const outcome = await mailer({
      id: digest.id,
      to,
      subject: mailSubject(digest),
      text: mailText(digest),
    });
    if (outcome.kind === "taken") return true;
    logWarning("alert mail failed", { end: outcome.kind, why: outcome.why });
    return false;
  };
}
