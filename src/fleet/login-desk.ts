/**
 * How many logins at WhatsApp the fleet may make, and with which client. Tells every host its share whenever that
 * changes, and stops all hosts of a client version that WhatsApp refuses, until the operator allows it again or they
 * come with another. Places nothing; a host that speaks an older version of the bridge keeps its own modest limits.
 */
import { knowsLoginOrders } from "../bridge/versions.ts";
import { logAlert, logInfo } from "../domain/log.ts";
import type { ControlSocket, ControlSockets } from "./control-sockets.ts";
import type { HostTable } from "./host-table.ts";
import type { PlacementTable } from "./placement-table.ts";

/** Of the whole fleet. */
export interface LoginBudget {
  perSecond: number;
  atOnce: number;
}

/** What each of so many hosts may do, so that all of them together stay within the budget. */
export function shareOf(budget: LoginBudget, hostCount: number): LoginBudget {
  const hosts = Math.max(1, hostCount);
  return {
    perSecond: budget.perSecond / hosts,
    atOnce: Math.max(1, Math.floor(budget.atOnce / hosts)),
  };
}

export interface LoginDeskParts {
  sql: SqlStorage;
  hosts: HostTable;
  placements: PlacementTable;
  sockets: ControlSockets;
  budget: () => LoginBudget;
}

export class LoginDesk {
  readonly #parts: LoginDeskParts;

  constructor(parts: LoginDeskParts) {
    this.#parts = parts;
  }

  /** After a host came, went or was stopped. */
  async tellAll(): Promise<void> {
    const { sockets, budget } = this.#parts;
    const accepted = sockets.of().filter(({ state }) => state.stage === "accepted");
    const share = shareOf(budget(), accepted.length);
    for (const control of accepted) await this.#tell(control, share);
  }

  /** WhatsApp refuses this version. Answers true when that was news. */
  async refuse(version: string, nowMs: number): Promise<boolean> {
    const { sql, hosts, placements } = this.#parts;
    const isNew =
      sql
        .exec(
          "INSERT INTO refused_clients (version, at_ms) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING version",
          version,
          nowMs,
        )
        .toArray().length === 1;
    if (isNew) {
      const stopped = hosts.all().filter((host) => host.clientVersion === version);
      for (const { hostId, bootId } of stopped) {
        if (bootId !== null) placements.drain(hostId, bootId, nowMs);
      }
      // Once a version: who is called must see one alert and not one a phone.
      logAlert("WhatsApp refuses a client version", { version, hosts: stopped.length });
    }
    await this.tellAll();
    return isNew;
  }

  /** The operator wants it tried again. False when it was not refused. */
  async allow(version: string): Promise<boolean> {
    const { sql, hosts, placements } = this.#parts;
    const wasRefused =
      sql.exec("DELETE FROM refused_clients WHERE version = ? RETURNING version", version).toArray()
        .length === 1;
    if (!wasRefused) return false;
    for (const { hostId, bootId, clientVersion, draining, drained } of hosts.all()) {
      const isFree = clientVersion === version && !draining && !drained;
      if (isFree && bootId !== null) placements.stay(hostId, bootId);
    }
    logInfo("client version allowed again", { version });
    await this.tellAll();
    return true;
  }

  async #tell({ socket, state }: ControlSocket, share: LoginBudget): Promise<void> {
    const { hosts, sockets } = this.#parts;
    if (!knowsLoginOrders(state.hello?.protocol ?? 1)) return;
    const stopped = hosts.find(state.hostId)?.clientRefused ?? false;
    await sockets.send(socket, { t: "logins", ...share, stopped });
  }
}
