/**
 * What may be asked of the Restore object over RPC: it leads the operator through a restore of the books. It holds the
 * wish (hold hand-over, tell the books anew) outside of D1, which is what is being restored, and sees to it that every
 * device has heard of it.
 */
import type { RepostObstacle } from "../billing/reposting.ts";
import type { Result } from "../domain/result.ts";

export interface RestoreView {
  /** Null while hand-over is not held. */
  heldSinceMs: number | null;
  generation: number;
  /** The devices are being listed; the counts are not complete. */
  isListing: boolean;
  devices: {
    /** 0 once nothing is wanted of any device. */
    all: number;
    /** Have yet to answer that they took over what is wanted now. */
    untold: number;
    /** Have yet to tell the books all that they know. */
    telling: number;
    /** Known to objects, not to the books as they are now. */
    unknown: number;
  };
  /** Devices that do not get on, at most fifty. */
  troubled: TroubledDevice[];
}

export interface TroubledDevice extends KnownDevice {
  left: number | null;
  obstacle: RepostObstacle | "no_answer";
}

/** A device as the books named it before they were set back. */
export interface KnownDevice {
  deviceId: string;
  accountId: number;
  waid: string;
}

export type RestoreRefusal =
  | { reason: "not_held" }
  /** Devices have yet to tell the books what they know. */
  | { reason: "not_through" };

export interface RestoreRpc {
  view(): Promise<RestoreView>;
  /** One that the books have forgotten; null when they know it, or nobody does. */
  forgotten(deviceId: string): Promise<KnownDevice | null>;
  /** From now on no device hands anything over or takes anything new. Repeating it changes nothing. */
  hold(): Promise<RestoreView>;
  /** D1 was set back: every device tells the books what it knows. Only while held. */
  raise(): Promise<Result<RestoreView, RestoreRefusal>>;
  /** Ends the hold; `force`: although devices have yet to tell, which then go on telling and hand nothing over until then. */
  release(force: boolean): Promise<Result<RestoreView, RestoreRefusal>>;
}
