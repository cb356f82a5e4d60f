/**
 * What may be asked of the Fleet object over RPC. One object knows which hosts are alive, how full they are and
 * which device runs where. It never touches keys, messages or money.
 */
import type { Result } from "../domain/result.ts";

export interface HostView {
  hostId: string;
  name: string;
  /** The operator's cap on devices. */
  devicesMax: number;
  connected: boolean;
  draining: boolean;
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
  /** A device wants a host. Idempotent: a placement whose host is alive stays. */
  want(deviceId: string): Promise<void>;
  /** A device wants none any more (unpaired, closed). */
  release(deviceId: string): Promise<void>;
}
