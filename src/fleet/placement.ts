/**
 * The rules of placement: which host takes a device, what a host's report means, when a try is repeated.
 * Pure: no I/O, no clock, no randomness; time and chance are handed in.
 */

/** No life sign for this long on an open control socket: the host is dead. */
export const HOST_SILENT_MS = 10_000;
/** After a closed control socket the same boot may come back within this time and keeps its devices. */
export const CLOSE_GRACE_MS = 3_000;
/** After a restart of the Fleet itself every host is given this long to dial in again. */
export const RESTART_GRACE_MS = 10_000;
export const SWEEP_INTERVAL_MS = 5_000;
/** A host must have proved itself this long after it connected. */
export const PROOF_WAIT_MS = 10_000;
/** An accepted host gets devices after its first report, or after this time without one. */
export const FIRST_REPORT_WAIT_MS = 1_000;
/** A ticket lives 15 s; a device that is in no report by now did not get its socket. */
export const TICKET_WAIT_MS = 20_000;
/** A device that vanished from its host's reports is assigned again after this time. */
export const MISSING_GRACE_MS = 5_000;
export const ASSIGNS_PER_HOST_MAX = 25;
export const ASSIGN_WINDOW_MS = 1_000;
/** Assignments of one placement before it is placed anew, on another host if there is one. */
export const ATTEMPTS_PER_PLACEMENT = 3;
/** Then the placement is dropped: a device without a bridge asks again by its own alarm. */
export const ATTEMPTS_MAX = 9;
/** A device that keeps asking for this long is believed, whatever its host reports. */
export const ASKING_PATIENCE_MS = 60_000;
/** More than the longest time between two askings of a device: after this it had a bridge in between. */
export const ASKING_PAUSE_MS = 400_000;

const MINT_RETRY_FIRST_MS = 1_000;
const MINT_RETRY_MAX_MS = 30_000;
const DISMISS_RETRY_FIRST_MS = 1_000;
const DISMISS_RETRY_MAX_MS = 60_000;

export interface Candidate {
  hostId: string;
  bootId: string;
  /** Devices placed on it now. */
  devices: number;
  /** The lower of the operator's cap and the host's own. */
  limit: number;
  /** Assignments it may still be sent in this second. */
  budget: number;
}

/** The least loaded host with room; `avoidHostId` only when no other has any. Null: none has. */
export function chooseHost(
  candidates: readonly Candidate[],
  avoidHostId: string | null,
): Candidate | null {
  let best: Candidate | null = null;
  for (const candidate of candidates) {
    if (candidate.devices >= candidate.limit || candidate.budget <= 0) continue;
    if (best === null || isBetter(candidate, best, avoidHostId)) best = candidate;
  }
  return best;
}

function isBetter(left: Candidate, right: Candidate, avoidHostId: string | null): boolean {
  const leftAvoided = left.hostId === avoidHostId;
  const rightAvoided = right.hostId === avoidHostId;
  if (leftAvoided !== rightAvoided) return rightAvoided;
  const difference = left.devices / left.limit - right.devices / right.limit;
  return difference === 0 ? left.hostId < right.hostId : difference < 0;
}

export interface PlacedDevice {
  deviceId: string;
  placementId: number;
  state: "wanted" | "assigned";
  running: boolean;
  avoidHostId: string | null;
}

export interface ReportDifference {
  /** Assigned here and now seen running for the first time. */
  confirmed: string[];
  /** Taken from this host while it was silent, but nobody else has them yet: they stay. */
  adopted: string[];
  /** Were running here and no longer are. */
  missing: string[];
  /** Run here and should not. */
  withdrawn: { deviceId: string; placementId: number }[];
}

/**
 * What a host's report changes. `placed` are the placements whose present or last place is this host and boot.
 * A draining host adopts nothing back.
 */
export function compareReport(
  host: { hostId: string; draining: boolean },
  placed: readonly PlacedDevice[],
  running: readonly { deviceId: string; placementId: number }[],
): ReportDifference {
  const byDevice = new Map(placed.map((placement) => [placement.deviceId, placement]));
  const difference: ReportDifference = { confirmed: [], adopted: [], missing: [], withdrawn: [] };
  const kept = new Set<string>();
  for (const { deviceId, placementId } of running) {
    const placement = byDevice.get(deviceId);
    if (placement === undefined || placement.placementId !== placementId) {
      difference.withdrawn.push({ deviceId, placementId });
    } else if (placement.state === "assigned") {
      kept.add(deviceId);
      if (!placement.running) difference.confirmed.push(deviceId);
    } else if (placement.avoidHostId === host.hostId || host.draining) {
      difference.withdrawn.push({ deviceId, placementId });
    } else {
      kept.add(deviceId);
      difference.adopted.push(deviceId);
    }
  }
  for (const placement of placed) {
    if (placement.state === "assigned" && placement.running && !kept.has(placement.deviceId)) {
      difference.missing.push(placement.deviceId);
    }
  }
  return difference;
}

/** What becomes of a placement that is due, after so many assignments that did not lead to a running device. */
export function judgeAttempts(attempts: number): "again" | "anew" | "drop" {
  if (attempts >= ATTEMPTS_MAX) return "drop";
  return attempts > 0 && attempts % ATTEMPTS_PER_PLACEMENT === 0 ? "anew" : "again";
}

export interface AskedPlacement {
  running: boolean;
  assignedMs: number;
  askedSinceMs: number | null;
  askedLastMs: number | null;
}

/**
 * A device asks for a host although it is assigned to a living one. Its host may not have used the ticket yet, or
 * be reconnecting: then it stays. `sinceMs` is when this run of asking began.
 */
export function judgeAsking(
  placement: AskedPlacement,
  nowMs: number,
): { verdict: "stay" | "anew"; sinceMs: number } {
  const isNewRun =
    placement.askedSinceMs === null ||
    placement.askedLastMs === null ||
    nowMs - placement.askedLastMs > ASKING_PAUSE_MS;
  const sinceMs = isNewRun ? nowMs : (placement.askedSinceMs ?? nowMs);
  if (!placement.running) {
    const hasTime = nowMs - placement.assignedMs < TICKET_WAIT_MS;
    return { verdict: hasTime ? "stay" : "anew", sinceMs };
  }
  return { verdict: nowMs - sinceMs >= ASKING_PATIENCE_MS ? "anew" : "stay", sinceMs };
}

/** How long to wait after the n-th ticket that could not be had: doubling, half of it by chance. */
export function mintRetryDelayMs(attempts: number, fraction: number): number {
  const full = Math.min(MINT_RETRY_FIRST_MS * 2 ** Math.max(0, attempts - 1), MINT_RETRY_MAX_MS);
  return Math.round(full / 2 + (full / 2) * fraction);
}

/** How long to wait after the n-th unanswered dismissal: doubling up to a minute, half of it by chance. */
export function dismissRetryDelayMs(attempts: number, fraction: number): number {
  const full = Math.min(
    DISMISS_RETRY_FIRST_MS * 2 ** Math.min(attempts - 1, 10),
    DISMISS_RETRY_MAX_MS,
  );
  return Math.round(full / 2 + (full / 2) * fraction);
}

/** Placement ids rise for ever, also past a loss of this object's storage: a device answers each id once. */
export function nextPlacementId(lastId: number, nowMs: number): number {
  return Math.max(lastId + 1, nowMs);
}
