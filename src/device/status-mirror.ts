/**
 * Keeps the device's row in D1 in step with its status. A short loss of the bridge is not worth telling; all else
 * is told at once and again until D1 has it. Only ever writes what the identity row says.
 */
import { withDeadline } from "../domain/deadline.ts";
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction } from "../domain/id.ts";
import type { Identity } from "./identity.ts";
import type { DeviceStatus } from "./interface.ts";
import { errorFields, logWarning } from "../domain/log.ts";

const RECONNECTING_DELAY_MS = 15_000;
const ATTEMPT_TIMEOUT_MS = 10_000;
const LOST_AFTER_MS = 30_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 300_000;

export type MirrorStatus = (mirror: {
  deviceId: string;
  status: DeviceStatus;
  phone: string | null;
  revision: number;
}) => Promise<void>;

export class StatusMirror {
  readonly #identity: Identity;
  readonly #mirror: MirrorStatus;
  readonly #random: RandomBytes;
  #failures = 0;
  #notBeforeMs = 0;
  #seenRev = 0;
  #runningSinceMs: number | null = null;

  constructor(identity: Identity, mirror: MirrorStatus, random: RandomBytes) {
    this.#identity = identity;
    this.#mirror = mirror;
    this.#random = random;
  }

  nextMs(nowMs: number): number | null {
    const { status, statusRev, mirroredRev } = this.#identity.state;
    // Should the object die in the middle of the call, something must wake it.
    if (this.#runningSinceMs !== null) return this.#runningSinceMs + LOST_AFTER_MS;
    if (statusRev === mirroredRev) return null;
    if (this.#seenRev !== statusRev) {
      this.#seenRev = statusRev;
      this.#notBeforeMs = nowMs + (status === "reconnecting" ? RECONNECTING_DELAY_MS : 0);
    }
    return Math.max(nowMs, this.#notBeforeMs);
  }

  isDue(nowMs: number): boolean {
    const atMs = this.#runningSinceMs === null ? this.nextMs(nowMs) : null;
    return atMs !== null && atMs <= nowMs;
  }

  async run(clock: () => number): Promise<void> {
    while (this.isDue(clock())) {
      this.#runningSinceMs = clock();
      try {
        const { deviceId, status, phone, statusRev } = this.#identity.state;
        await withDeadline(
          this.#mirror({ deviceId, status, phone, revision: statusRev }),
          ATTEMPT_TIMEOUT_MS,
        );
        this.#failures = 0;
        this.#identity.patch({ mirroredRev: statusRev });
      } catch (error) {
        this.#failures += 1;
        logWarning("status not mirrored", { ...errorFields(error), failures: this.#failures });
        const fullMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures - 1, 20));
        this.#notBeforeMs = clock() + Math.ceil(fullMs * (0.5 + randomFraction(this.#random) / 2));
      } finally {
        this.#runningSinceMs = null;
      }
    }
  }
}
