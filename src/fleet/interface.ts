/**
 * What may be asked of the Fleet object over RPC. One object knows which hosts are alive, how full they are and
 * which device runs where. It never touches keys, messages or money.
 */
import type { Result } from "../domain/result.ts";
import type { LogOutsView } from "./log-outs.ts";

export interface HostView {
  hostId: string;
  name: string;
  /** The operator's cap on devices. */
  devicesMax: number;
  connected: boolean;
  /** Its process is on its way out. */
  draining: boolean;
  /** The operator wants it empty. */
  drained: boolean;
  /** WhatsApp refuses its client version: it logs nobody in. */
  clientRefused: boolean;
  clientVersion: string | null;
  /** The version of the bridge it speaks; null before it first connected. */
  protocol: number | null;
  devices: number;
}

export interface FleetRpc {
  /** Approves a host: the operator's act. `tokenHash` is SHA-256, hex, of the token shown once. */
  approveHost(host: {
    hostId: string;
    name: string;
    tokenHash: string;
    devicesMax: number;
  }): Promise<Result<null, { reason: "exists" }>>;
  revokeHost(hostId: string): Promise<Result<null, { reason: "unknown" }>>;
  hosts(): Promise<HostView[]>;
  /** The operator wants this host empty (or no longer): its phones go where there is room, and none comes. */
  drainHost(hostId: string, drained: boolean): Promise<Result<HostView, { reason: "unknown" }>>;
  /** The operator wants a client version tried again that WhatsApp refused. */
  allowClient(version: string): Promise<Result<null, { reason: "unknown" }>>;
  /** A device wants a host. Idempotent: a placement whose host is alive stays. */
  want(deviceId: string): Promise<void>;
  /** A device wants none any more (unpaired, closed, logged out by WhatsApp). */
  release(deviceId: string, why?: "logged_out"): Promise<void>;
  /** Whether a device may drop the keys of a former pairing whose time is over. */
  mayDropKeys(): Promise<boolean>;
  /** Phones that were logged out, and whether their keys are kept because they were many at once. */
  logOuts(): Promise<LogOutsView>;
  /** The operator has looked: keys are dropped in their time again. */
  releaseLogOuts(): Promise<void>;
}
