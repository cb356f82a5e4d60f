/** What the processes of a run called a person for: their alert lines, counted by what they say. Judges nothing. */
import { z } from "zod";

const line = z.looseObject({
  level: z.union([z.string(), z.number()]),
  message: z.string().optional(),
  msg: z.string().optional(),
  kind: z.string().optional(),
  reason: z.string().nullable().optional(),
  job: z.string().optional(),
});
/** pino's number for an error. */
const HOST_ERROR = 50;

/** No fault of the plan explains these. */
const NEVER = [
  "the books do not agree",
  "books hold a different end",
  "the books refuse an end",
  "fact not applied",
  "bridge frame not understood",
  "a sealed text does not open",
  "device refuses accepted messages",
  "job failed",
];

export function unexplainedAlerts(alerts: ReadonlyMap<string, number>): string[] {
  return [...alerts.keys()]
    .filter((alert) => NEVER.some((what) => alert.startsWith(what)))
    .map((alert) => `alert: ${alert}`);
}

export function alertsIn(output: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const written of output.split("\n")) {
    const start = written.indexOf("{");
    if (start === -1) continue;
    const alert = alertOf(written.slice(start));
    if (alert !== null) counts.set(alert, (counts.get(alert) ?? 0) + 1);
  }
  return counts;
}

function alertOf(json: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // Some other program's line.
    return null;
  }
  const parsed = line.safeParse(value);
  if (!parsed.success) return null;
  const { level, message, msg, kind, reason, job } = parsed.data;
  if (level !== "alert" && level !== HOST_ERROR) return null;
  const more = [kind, reason, job].filter((one) => one !== undefined && one !== null);
  return `${message ?? msg ?? ""}${more.length === 0 ? "" : ` (${more.join(", ")})`}`;
}
