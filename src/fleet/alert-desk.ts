/**
 * Takes alerts of session hosts and raises them as the gateway's own. Bounded in size and in how often one host is
 * heard. Stores nothing: a host repeats what was not taken.
 */
import { HOST_ALERTS_BYTES_MAX, hostAlerts } from "../bridge/host-alerts.ts";
import { logAlert } from "../domain/log.ts";

/** Hosts gather for longer than this. */
const GAP_MS = 2_000;

export class AlertDesk {
  /** By host; there are as many as the operator approved. */
  readonly #heardMs = new Map<string, number>();

  async take(hostId: string, request: Request, nowMs: number): Promise<Response> {
    const sinceMs = nowMs - (this.#heardMs.get(hostId) ?? Number.NEGATIVE_INFINITY);
    if (sinceMs < GAP_MS) return new Response("Too soon.\n", { status: 429 });
    const length = Number(request.headers.get("content-length") ?? Number.NaN);
    if (!(length <= HOST_ALERTS_BYTES_MAX)) {
      return new Response("A body of an announced, bounded length is needed.\n", { status: 413 });
    }
    const parsed = hostAlerts.safeParse(jsonOf(await request.text()));
    if (!parsed.success) return new Response("Not understood.\n", { status: 422 });
    this.#heardMs.set(hostId, nowMs);
    for (const { kind, deviceId, count } of parsed.data.alerts) {
      logAlert("a session host needs a person", { hostId, kind, count, newestDevice: deviceId });
    }
    return new Response(null, { status: 204 });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The schema refuses undefined.
    return undefined;
  }
}
