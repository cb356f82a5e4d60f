/**
 * Whether this device wants a host, and asking the Fleet for one. Placement is the Fleet's; this file only notices
 * that no bridge came for a while and asks again, less and less often. Holds no placement of its own.
 */
import type { RandomBytes } from "../domain/id.ts";
import { randomFraction } from "../domain/id.ts";
import type { Identity } from "./identity.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { keepsHost } from "./session-close.ts";

/** A host may come back by itself for so long. */
export const NO_BRIDGE_MS = 15_000;
const UNREACHED_MS = 1_000;
const ASK_MAX_MS = 300_000;
const LOST_AFTER_MS = 30_000;

export interface FleetPort {
  want(deviceId: string): Promise<void>;
  release(deviceId: string, why?: "logged_out"): Promise<void>;
}

/** What it reads and writes of a device. */
export type WishingDevice = Pick<Identity, "state" | "patch" | "become">;

export class HostWish {
  readonly #identity: WishingDevice;
  readonly #fleet: FleetPort;
  readonly #random: RandomBytes;
  #nextAskMs: number | null = null;
  #asks = 0;
  #runningSinceMs: number | null = null;

  constructor(identity: WishingDevice, fleet: FleetPort, random: RandomBytes) {
    this.#identity = identity;
    this.#fleet = fleet;
    this.#random = random;
  }

  /** True while a session of this phone should run somewhere. */
  get isWanted(): boolean {
    const { status, unlinkingSinceMs, pausedReason } = this.#identity.state;
    switch (status) {
      case "pairing":
      case "connected":
      case "reconnecting":
        return true;
      case "paused":
        return keepsHost(pausedReason);
      case "unpaired":
      case "logged_out":
      case "banned":
        return unlinkingSinceMs !== null;
      default:
        return status satisfies never;
    }
  }

  /** The bridge is gone, or was not there when the object woke. */
  bridgeLost(nowMs: number): void {
    if (this.isWanted) this.#nextAskMs ??= nowMs + NO_BRIDGE_MS;
  }

  bridgeFound(): void {
    this.#nextAskMs = null;
    this.#asks = 0;
  }

  askNow(nowMs: number): void {
    this.#nextAskMs = nowMs;
    this.#asks = 0;
  }

  nextMs(nowMs: number): number | null {
    // Should the object die in the middle of the call, something must wake it.
    if (this.#runningSinceMs !== null) return this.#runningSinceMs + LOST_AFTER_MS;
    if (this.#identity.state.releaseDue === 1) return this.#nextAskMs ?? nowMs;
    return this.isWanted ? this.#nextAskMs : null;
  }

  isDue(nowMs: number): boolean {
    const atMs = this.#runningSinceMs === null ? this.nextMs(nowMs) : null;
    return atMs !== null && atMs <= nowMs;
  }

  async run(clock: () => number): Promise<void> {
    if (!this.isDue(clock())) return;
    this.#runningSinceMs = clock();
    const { deviceId, releaseDue } = this.#identity.state;
    const wants = this.isWanted;
    try {
      if (wants) {
        if (this.#identity.state.status === "connected") this.#identity.become("reconnecting");
        await this.#fleet.want(deviceId);
      } else if (releaseDue === 1) {
        const isLoggedOut = this.#identity.state.status === "logged_out";
        await this.#fleet.release(deviceId, ...(isLoggedOut ? (["logged_out"] as const) : []));
        // A new wish while the call was under way must not be undone by it.
        if (!this.isWanted) this.#identity.patch({ releaseDue: 0 });
      }
      if (wants) this.#askAgain(NO_BRIDGE_MS, clock());
      // A wish that came while the call was under way waits for its turn.
      else if (!this.isWanted) this.#nextAskMs = null;
    } catch (error) {
      logWarning("fleet not reached", { device: deviceId, ...errorFields(error) });
      this.#askAgain(UNREACHED_MS, clock());
    } finally {
      this.#runningSinceMs = null;
    }
  }

  /** Unless a bridge came while the call was under way. */
  #askAgain(firstMs: number, nowMs: number): void {
    if (this.#nextAskMs === null && this.isWanted) return;
    this.#asks += 1;
    const fullMs = Math.min(ASK_MAX_MS, firstMs * 2 ** Math.min(this.#asks - 1, 20));
    this.#nextAskMs = nowMs + Math.ceil(fullMs * (0.75 + randomFraction(this.#random) / 2));
  }
}
