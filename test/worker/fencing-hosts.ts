/**
 * Hosts for the fencing model: each may keep every socket it ever opened and every ticket it ever got, and says what the
 * script tells it to say. What the device accepts is read from its own rows. Runs no phone.
 */
import { env } from "cloudflare:test";
import { vi } from "vitest";
import type { DeviceFrame, Fact } from "../../src/bridge/device-frames.ts";
import { PROTOCOL_VERSION } from "../../src/bridge/versions.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { type Boot, ScriptedHost, type SendCommand } from "./device-host.ts";
import { knock, rowsOf, type TestDevice } from "./device-support.ts";
import { type Approved, HostSocket } from "./fleet-support.ts";

export type FleetStub = DurableObjectStub<Fleet>;

export function theFleet(): FleetStub {
  return env.FLEET.get(env.FLEET.idFromName("fleet"));
}

/** A bridge that was opened once; it may be cut, overtaken or asleep. */
export interface Bridge {
  host: ScriptedHost;
  epoch: number;
  /** The commands it was given, and the last number of its key commits. */
  commands: SendCommand[];
  seq: number;
  factN: number;
  /** In the order in which bridges were opened. */
  opened: number;
}

let opened = 0;

const SESSION_OPEN: Fact = {
  kind: "session",
  state: "open",
  reason: null,
  code: null,
  byWhatsApp: false,
  retryAtMs: null,
};

export class ModelHost {
  readonly name: string;
  readonly approved: Approved;
  boot: Boot;
  control: HostSocket | null = null;
  readonly tickets: string[] = [];
  readonly bridges: Bridge[] = [];
  #boots = 0;

  constructor(name: string, approved: Approved) {
    this.name = name;
    this.approved = approved;
    this.boot = this.#nextBoot();
  }

  /** The process ends; its sockets may live on for whoever does not know. */
  reboot(): void {
    this.control?.close();
    this.control = null;
    this.boot = this.#nextBoot();
  }

  /** Opens the control socket, if it is not open, and takes what the fleet assigns. */
  async report(device: TestDevice): Promise<void> {
    const { deviceId } = device.identity;
    try {
      this.control ??= await HostSocket.accepted(theFleet(), this.approved, this.boot);
      for (const frame of await this.control.framesUntilNow()) {
        if (frame.t === "assign" && frame.deviceId === deviceId) this.tickets.push(frame.ticket);
      }
    } catch {
      // Whoever shares the token is there, or has taken the socket's place.
      this.control = null;
    }
  }

  /** Knocks with a ticket; answers the status. */
  async enter(device: TestDevice, ticket: string): Promise<number> {
    return this.#open(device, await knock(device, this.boot, { ticket }), 0);
  }

  /** Comes back to the epoch of one of its bridges, and says that it got all or nothing of its commands. */
  async resume(device: TestDevice, bridge: Bridge, gotAll: boolean): Promise<number> {
    const { welcome, boot, lastCommandSeq } = bridge.host;
    const response = await knock(device, boot, { resume: welcome?.resumeToken ?? "" });
    return this.#open(device, response, gotAll ? lastCommandSeq : 0, bridge);
  }

  async #open(
    device: TestDevice,
    response: Response,
    lastCommandSeq: number,
    before: Bridge | null = null,
  ): Promise<number> {
    if (response.webSocket === null) {
      // An answer that nobody reads keeps the object from sleeping.
      await response.text();
      return response.status;
    }
    const host = new ScriptedHost(before?.host.boot ?? this.boot, response.webSocket);
    host.say({ t: "hello", protocol: PROTOCOL_VERSION, lastCommandSeq, sealKeyId: "k1" });
    if (!(await hears(host, "welcome"))) {
      host.hangUp();
      return 0;
    }
    const welcome = await host.take("welcome");
    host.welcome = welcome;
    opened += 1;
    const bridge = {
      host,
      opened,
      epoch: welcome.epoch,
      commands: before === null ? [] : [...before.commands],
      seq: welcome.keysSeq,
      factN: Math.max(before?.factN ?? 0, welcome.factN),
    };
    this.bridges.push(bridge);
    tell(bridge, SESSION_OPEN);
    tell(bridge, { kind: "drained" });
    await settled(device);
    return 101;
  }

  #nextBoot(): Boot {
    this.#boots += 1;
    return { hostId: this.approved.hostId, bootId: `boot-of-${this.name}-${this.#boots}` };
  }
}

/** What was on its way to the hosts has arrived. */
export async function settled(device: TestDevice): Promise<void> {
  await rowsOf(device, "SELECT 1");
}

/** Takes the commands that are here. */
export async function takeCommands(bridge: Bridge): Promise<void> {
  while (bridge.host.here("command").length > 0) {
    const { command } = await bridge.host.take("command");
    if (command.kind === "send") bridge.commands.push(command);
  }
}

/** One more fact, without waiting for anything. */
export function tell(bridge: Bridge, fact: Fact): void {
  if (bridge.host.closed !== null) return;
  bridge.factN += 1;
  bridge.host.say({ t: "facts", first: bridge.factN, facts: [fact] });
}

/** Waits for one of these frames; false when the socket closed before. */
async function hears(host: ScriptedHost, ...types: DeviceFrame["t"][]): Promise<boolean> {
  const isHere = (): boolean => types.some((type) => host.here(type).length > 0);
  await vi.waitFor(
    () => {
      if (!isHere() && host.closed === null) throw new Error(`no ${types.join(" or ")} came`);
    },
    { interval: 1, timeout: 3_000 },
  );
  return isHere();
}

export type CommitAnswer = "committed" | "refused" | "closed";

/** Commits one row that names who wrote it, for messages or none. A socket that closed answers nothing. */
export async function commitOn(
  { host }: Bridge,
  seq: number,
  value: string,
  command: SendCommand | null,
): Promise<CommitAnswer> {
  if (host.closed !== null) return "closed";
  const forMessages =
    command === null ? [] : [{ messageId: command.messageId, attempt: command.attempt }];
  const rows = [{ type: "session" as const, id: "w", value }];
  host.say({ t: "keys_commit", seq, rows, forMessages, inbound: [] });
  if (!(await hears(host, "keys_committed", "keys_refused"))) return "closed";
  if (host.here("keys_committed").length === 0) {
    await host.take("keys_refused");
    return "refused";
  }
  await host.take("keys_committed");
  return "committed";
}
