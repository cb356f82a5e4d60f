/**
 * A paused phone: nothing is tried at WhatsApp until somebody resumes it. Keeps keys, pairing and queue; takes the phone
 * from its host, unless only the host is what must be mended. Decides nothing about why (session-close.ts).
 */
import type { Result } from "../domain/result.ts";
import { err, ok } from "../domain/result.ts";
import { logAlert, logInfo, logWarning } from "../domain/log.ts";
import type { Identity } from "./identity.ts";
import type { DeviceRefusal, PauseReason } from "./interface.ts";
import { CLOSES_WINDOW_MS, keepsHost } from "./session-close.ts";

/** More closes than any limit would need are not remembered. */
const CLOSES_KEPT = 20;

export interface PausingParts {
  identity: Identity;
  /** Ends the current epoch and takes back what is in its host's hands. */
  closeEpoch: (reason: "new_epoch" | "shutdown", nowMs: number) => void;
  /** The Fleet shall hear at once whether a host is wanted. */
  releaseHost: (nowMs: number) => void;
}

export class Pausing {
  readonly #parts: PausingParts;

  constructor(parts: PausingParts) {
    this.#parts = parts;
  }

  /** Notes a close that counts against the phone; answers how many there were within the hour. */
  countClose(nowMs: number): number {
    const { identity } = this.#parts;
    const times = [...timesOf(identity.state.closes), nowMs]
      .filter((atMs) => atMs > nowMs - CLOSES_WINDOW_MS && atMs <= nowMs)
      .slice(-CLOSES_KEPT);
    identity.patch({ closes: JSON.stringify(times) });
    return times.length;
  }

  pause(reason: PauseReason, nowMs: number): void {
    const { identity, closeEpoch, releaseHost } = this.#parts;
    const { deviceId: device } = identity.state;
    const keeps = keepsHost(reason);
    if (!keeps) closeEpoch("shutdown", nowMs);
    identity.become("paused", { pausedReason: reason, releaseDue: keeps ? 0 : 1 });
    if (!keeps) releaseHost(nowMs);
    // The Fleet has raised one alert for a refused client; a line for each phone is enough.
    if (reason === "client_outdated") logWarning("phone waits for another client", { device });
    else logAlert("session needs a person", { device, reason });
  }

  /** A new session, as after a placement: whatever ended the last one is not held against it. */
  resume(nowMs: number): Result<null, DeviceRefusal> {
    const { identity, closeEpoch, releaseHost } = this.#parts;
    const { state } = identity;
    if (state.status !== "paused") return err({ reason: "not_paused" });
    identity.become("reconnecting", { closes: "[]", releaseDue: 0 });
    closeEpoch("new_epoch", nowMs);
    releaseHost(nowMs);
    logInfo("phone resumed", { device: state.deviceId });
    return ok(null);
  }
}

/** Times as this object stored them. */
export function timesOf(stored: string): number[] {
  return JSON.parse(stored) as number[];
}
