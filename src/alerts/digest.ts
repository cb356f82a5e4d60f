/**
 * What a sink is told: one digest of several alerts, as JSON for the webhook and as words for the mail. Pure; holds
 * ids, counts and names, as the alerts do, and no more.
 */
import type { LogFields } from "../domain/log.ts";
import type { AlertView } from "./interface.ts";
import { DIGEST_ALERTS_MAX } from "./schedule.ts";

export interface Digest {
  /** The same on every try. */
  id: string;
  atMs: number;
  alerts: AlertView[];
  /** Due as well, and not listed. */
  more: number;
}

export function digestOf(id: string, due: readonly AlertView[], nowMs: number): Digest {
  const alerts = due.slice(0, DIGEST_ALERTS_MAX);
  return { id, atMs: nowMs, alerts, more: due.length - alerts.length };
}

/** In the form of Standard Webhooks: `{type, timestamp, data}`. */
export function webhookBody({ atMs, alerts, more }: Digest): string {
  return JSON.stringify({
    type: "alerts.open",
    timestamp: new Date(atMs).toISOString(),
    data: { alerts: alerts.map(alertShape), more },
  });
}

export function alertShape(alert: AlertView) {
  const { id, name, subject, count, firstMs, lastMs, acknowledgedMs, fields } = alert;
  return {
    id,
    name,
    subject: subject === "" ? null : subject,
    count,
    first_at: new Date(firstMs).toISOString(),
    last_at: new Date(lastMs).toISOString(),
    acknowledged_at: acknowledgedMs === null ? null : new Date(acknowledgedMs).toISOString(),
    fields,
  };
}

export function mailSubject({ alerts, more }: Digest): string {
  const [first] = alerts;
  const others = alerts.length - 1 + more;
  const name = first?.name ?? "";
  return others > 0 ? `Kabar alert: ${name} (and ${others} more)` : `Kabar alert: ${name}`;
}

export function mailText(digest: Digest): string {
  const { alerts, more } = digest;
  const blocks = alerts.map(({ id, name, subject, count, firstMs, lastMs, fields }) =>
    [
      `${name}${subject === "" ? "" : ` (${subject})`}`,
      `  no. ${id}, ${count} time(s), first ${new Date(firstMs).toISOString()}, last ${new Date(lastMs).toISOString()}`,
      ...(fieldsLine(fields) === "" ? [] : [`  ${fieldsLine(fields)}`]),
    ].join("\n"),
  );
  return [
    ...blocks,
    ...(more > 0 ? [`${more} more are listed by GET /operator/alerts.`] : []),
    "What each means and what to do: docs/operations.md.",
    "This comes again until it is acknowledged: POST /operator/alerts/acknowledge.",
  ].join("\n\n");
}

function fieldsLine(fields: LogFields): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value === null ? "-" : String(value)}`)
    .join(" ");
}
