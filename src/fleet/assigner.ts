/**
 * Gives wanted devices to hosts. Works only inside the alarm, so two runs never overlap; each step of a device is
 * written before it is commanded, bounded in time and number, and its failure stops no other. Refuses to judge
 * whether a host is alive.
 */
import type { DeviceRpc } from "../device/interface.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { randomFraction, type RandomBytes } from "../domain/id.ts";
import type { Clock } from "../domain/clock.ts";
import type { ControlSockets } from "./control-sockets.ts";
import { isLeaving, type HostTable } from "./host-table.ts";
import {
  ASSIGN_WINDOW_MS,
  ASSIGNS_PER_HOST_MAX,
  type Candidate,
  chooseHost,
  FIRST_REPORT_WAIT_MS,
  judgeAttempts,
  mintRetryDelayMs,
  TICKET_WAIT_MS,
} from "./placement.ts";
import type { Placement, PlacementTable } from "./placement-table.ts";

/** No new assignment is begun this long after the run began: the sweep of dead hosts must not wait. */
const RUN_MS = 5_000;
/** The runtime allows six open connections at a time. */
const PARALLEL = 5;

/** Asks a device for a ticket; `deviceId` names the object. Ends by itself, with a throw if need be. */
export type MintTicket = (
  deviceId: string,
  request: { placementId: number; hostId: string; bootId: string },
) => ReturnType<DeviceRpc["mintTicket"]>;

interface Job {
  placement: Placement;
  hostId: string;
  bootId: string;
  anew: boolean;
}

export interface AssignerParts {
  storage: DurableObjectStorage;
  hosts: HostTable;
  placements: PlacementTable;
  sockets: ControlSockets;
  mintTicket: MintTicket;
  clock: Clock;
  random: RandomBytes;
}

export class Assigner {
  readonly #parts: AssignerParts;

  constructor(parts: AssignerParts) {
    this.#parts = parts;
  }

  /** One round. Answers when the next one is needed because budget or time ran out, or null. */
  async run(): Promise<number | null> {
    const { clock } = this.#parts;
    const startedMs = clock();
    const candidates = this.#candidates(startedMs);
    const { jobs, budgetUsedUp } = this.#plan(candidates, startedMs);
    const queue = jobs.values();
    let timeUsedUp = false;
    const worker = async (): Promise<void> => {
      for (const job of queue) {
        if (clock() - startedMs >= RUN_MS) {
          timeUsedUp = true;
          return;
        }
        await this.#assignCaught(job);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    if (timeUsedUp) return clock();
    return budgetUsedUp ? startedMs + ASSIGN_WINDOW_MS : null;
  }

  /** Accepted processes that are connected, have said what they run and are not on their way out. */
  #candidates(nowMs: number): Candidate[] {
    const { hosts, placements, sockets } = this.#parts;
    const candidates: Candidate[] = [];
    for (const host of hosts.all()) {
      if (host.bootId === null || isLeaving(host)) continue;
      const control = sockets.accepted(host.hostId, host.bootId);
      if (control === null) continue;
      const { reported, acceptedMs } = control.state;
      if (!reported && nowMs - acceptedMs < FIRST_REPORT_WAIT_MS) continue;
      const load = placements.load(host.hostId, host.bootId, nowMs - ASSIGN_WINDOW_MS);
      candidates.push({
        hostId: host.hostId,
        bootId: host.bootId,
        devices: load.devices,
        limit: Math.min(host.devicesMax, host.capacity),
        budget: ASSIGNS_PER_HOST_MAX - load.recent,
      });
    }
    return candidates;
  }

  #plan(candidates: Candidate[], nowMs: number): { jobs: Job[]; budgetUsedUp: boolean } {
    const { placements } = this.#parts;
    const jobs: Job[] = [];
    for (const candidate of candidates) {
      const { hostId, bootId } = candidate;
      const limit = Math.max(0, candidate.budget);
      for (const placement of placements.dueToRepeat(hostId, bootId, nowMs, limit)) {
        const verdict = judgeAttempts(placement.attempts);
        if (verdict === "drop") {
          this.#drop(placement, "no host could run it");
        } else if (verdict === "anew") {
          placements.giveUpOn(placement.deviceId, hostId, nowMs);
          candidate.devices -= 1;
        } else {
          jobs.push({ placement, hostId, bootId, anew: false });
          candidate.budget -= 1;
        }
      }
    }
    const rooms = candidates.map(({ devices, limit }) => Math.max(0, limit - devices));
    const room = rooms.reduce((sum, one) => sum + one, 0);
    if (room === 0) return { jobs, budgetUsedUp: false };
    const bound = Math.min(room, candidates.length * ASSIGNS_PER_HOST_MAX);
    for (const placement of placements.dueToPlace(nowMs, bound)) {
      const chosen = chooseHost(candidates, placement.avoidHostId);
      if (chosen === null) break;
      jobs.push({ placement, hostId: chosen.hostId, bootId: chosen.bootId, anew: true });
      chosen.devices += 1;
      chosen.budget -= 1;
    }
    return { jobs, budgetUsedUp: candidates.some(({ budget }) => budget <= 0) };
  }

  async #assignCaught(job: Job): Promise<void> {
    try {
      await this.#assign(job);
    } catch (error) {
      logWarning("assignment failed", {
        deviceId: job.placement.deviceId,
        hostId: job.hostId,
        ...errorFields(error),
      });
    }
  }

  async #assign(job: Job): Promise<void> {
    const { clock, hosts, placements, sockets, storage, mintTicket, random } = this.#parts;
    const { deviceId } = job.placement;
    const before = placements.find(deviceId);
    const host = hosts.find(job.hostId);
    const isStale =
      before === null ||
      before.placementId !== job.placement.placementId ||
      before.state !== job.placement.state ||
      before.running !== job.placement.running ||
      host?.bootId !== job.bootId ||
      isLeaving(host);
    if (isStale) return;
    const nowMs = clock();
    const retryMs = nowMs + mintRetryDelayMs(before.attempts + 1, randomFraction(random));
    let { placementId } = before;
    if (job.anew) placementId = placements.assignAnew(deviceId, job, nowMs, retryMs);
    else placements.assignAgain(deviceId, nowMs, retryMs);
    const request = { placementId, hostId: job.hostId, bootId: job.bootId };
    const minted = await mintTicket(deviceId, request);
    const after = placements.find(deviceId);
    const isOvertaken =
      after === null ||
      after.placementId !== placementId ||
      after.state !== "assigned" ||
      after.running;
    if (isOvertaken) return;
    if (!minted.ok) {
      this.#drop(after, minted.error.reason);
      return;
    }
    placements.setNextTry(deviceId, clock() + TICKET_WAIT_MS);
    await storage.sync();
    const control = sockets.accepted(job.hostId, job.bootId);
    if (control === null) return;
    if (job.anew) await this.#withdrawFormer(before);
    const { ticket } = minted.value;
    await sockets.send(control.socket, { t: "assign", deviceId, placementId, ticket });
  }

  /** The host that had it until now lets go; its next report would tell it as well. */
  async #withdrawFormer(former: Placement): Promise<void> {
    const { sockets } = this.#parts;
    if (former.hostId === null || former.bootId === null) return;
    const control = sockets.accepted(former.hostId, former.bootId);
    if (control === null) return;
    const { deviceId, placementId } = former;
    await sockets.send(control.socket, { t: "withdraw", deviceId, placementId });
  }

  /** A device that still needs a host asks again by its own alarm. */
  #drop(placement: Placement, why: string): void {
    logWarning("placement dropped", { deviceId: placement.deviceId, why });
    this.#parts.placements.remove(placement.deviceId);
  }
}
