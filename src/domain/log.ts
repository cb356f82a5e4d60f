/**
 * One line of JSON per noteworthy event: a static lower-case message and plain fields. It refuses free text:
 * callers pass ids, counts, codes and names, never message texts, phone numbers, keys, QR codes or tokens, and
 * never an error's own message, which may quote the input.
 */
export type LogFields = Record<string, string | number | boolean | null>;

export function logInfo(message: string, fields: LogFields = {}): void {
  console.log(JSON.stringify({ level: "info", message, ...fields }));
}

export function logWarning(message: string, fields: LogFields = {}): void {
  console.warn(JSON.stringify({ level: "warning", message, ...fields }));
}

/** Carries alerts beyond the log; must neither throw nor wait. */
export type AlertSink = (name: string, fields: LogFields) => void;

let alertSink: AlertSink | null = null;

/** Where alerts go beside the log, from now on and for this isolate; null: nowhere. */
export function sendAlertsTo(sink: AlertSink | null): void {
  alertSink = sink;
}

/** Something that must be looked at by a person. docs/operations.md has a row for each message. */
export function logAlert(message: string, fields: LogFields = {}): void {
  console.error(JSON.stringify({ level: "alert", message, ...fields }));
  alertSink?.(message, fields);
}

/** What may be said about a thrown value: its class and where it was thrown. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error, at: null };
  const frame = error.stack?.split("\n").find((line) => line.trimStart().startsWith("at "));
  return { error: error.name, at: frame?.trim() ?? null };
}
