/**
 * Carries out the plan: one fault after the other at its time, each ended by itself. Does what it is told to whom it is
 * told, or to the next one when that one is down already; decides nothing.
 */
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../src/domain/clock.ts";
import { unreachable } from "../../src/domain/result.ts";
import type { Receiver } from "../flow/support/receiver.ts";
import type { Stack } from "../flow/support/stack.ts";
import type { Whatsapp } from "../flow/support/whatsapp.ts";
import { isKill } from "./plan.ts";
import type { Fault, FaultKind, Step } from "./plan.ts";
import type { Seats } from "./seats.ts";
import type { Tenant } from "./tenants.ts";
import { WhatsappFaults } from "./whatsapp-faults.ts";
import type { WhatsappLog } from "./whatsapp-log.ts";

export interface FaultParts {
  stack: Stack;
  seats: Seats;
  receiver: Receiver;
  whatsapp: Whatsapp;
  log: WhatsappLog;
  tenants: readonly Tenant[];
}

export class Faults {
  readonly done = new Map<FaultKind, number>();
  readonly #parts: FaultParts;
  readonly #whatsapp: WhatsappFaults;
  readonly #running = new Set<Promise<void>>();
  /** The Worker goes through one thing at a time. */
  #worker: Promise<void> = Promise.resolve();
  #receiver: Promise<void> = Promise.resolve();

  constructor(parts: FaultParts) {
    this.#parts = parts;
    this.#whatsapp = new WhatsappFaults(parts);
  }

  /** Ends when the last fault of the plan has struck and all of them are over. */
  async run(steps: readonly Step[], tell: (step: Step) => void): Promise<void> {
    const startedMs = systemClock();
    for (const step of steps) {
      await pause(Math.max(0, startedMs + step.atMs - systemClock()));
      const strike = this.#strike(step.fault);
      // A kill that waits for a victim holds up the plan: as many as were asked for must happen.
      if (isKill(step.fault.kind)) await strike;
      tell(step);
    }
    await this.calm();
  }

  /** Waits for what is under way and takes back whatever still stands. */
  async calm(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    await Promise.all([this.#worker, this.#receiver]);
    await this.#parts.seats.allBack();
    await this.#whatsapp.clear();
  }

  get kills(): number {
    return [...this.done]
      .filter(([kind]) => isKill(kind))
      .reduce((sum, [, count]) => sum + count, 0);
  }

  /** Ends when the fault has struck; what it takes to be over goes on by itself. */
  #strike(fault: Fault): Promise<void> {
    this.done.set(fault.kind, (this.done.get(fault.kind) ?? 0) + 1);
    const struck = this.#carryOut(fault);
    this.#running.add(struck);
    return struck.finally(() => this.#running.delete(struck));
  }

  async #carryOut(fault: Fault): Promise<void> {
    const { seats, stack } = this.#parts;
    const { kind, target, forMs } = fault;
    switch (kind) {
      case "host_killed":
        return seats.down(target, forMs, (host) => host.kill());
      case "host_stopped":
        return seats.down(target, forMs, (host) => host.terminate());
      case "host_frozen": {
        const { process } = await seats.up(target);
        process.freeze();
        await pause(forMs);
        return process.resume();
      }
      case "worker_killed":
        return this.#toWorker(() => stack.crashWorkerd());
      case "worker_redeployed":
        return this.#toWorker(() => stack.redeployWorker());
      case "worker_frozen":
        return this.#toWorker(async () => {
          stack.worker.freeze();
          await pause(forMs);
          stack.worker.resume();
        });
      case "bridge_cut":
      case "bridge_silent": {
        const { wire } = await seats.up(target);
        if (kind === "bridge_cut") wire.cut();
        else wire.silence();
        await pause(forMs);
        return wire.mend();
      }
      case "receiver_down":
      case "receiver_error":
      case "receiver_hangs":
      case "receiver_closes":
        return this.#toReceiver(kind, fault);
      case "whatsapp_dropped":
      case "whatsapp_closed":
      case "whatsapp_error":
      case "whatsapp_replaced":
      case "whatsapp_slow_login":
      case "whatsapp_login_refused":
      case "whatsapp_upgrade_refused":
      case "whatsapp_deaf":
      case "ack_lost":
      case "text_swallowed":
      case "ack_late":
      case "text_refused":
      case "contact_forgets":
      case "contact_garbled":
      case "prekeys_gone":
      case "receipt_forged":
        return this.#whatsapp.strike(kind, fault);
      default:
        return unreachable(kind);
    }
  }

  #toWorker(work: () => Promise<void>): Promise<void> {
    const before = this.#worker;
    this.#worker = (async () => {
      await before;
      await work();
    })();
    return this.#worker;
  }

  #toReceiver(kind: FaultKind, { forMs }: Fault): Promise<void> {
    const { receiver } = this.#parts;
    const before = this.#receiver;
    this.#receiver = (async () => {
      await before;
      if (kind === "receiver_down") await receiver.down();
      if (kind === "receiver_error") receiver.status = 500;
      if (kind === "receiver_hangs") receiver.manner = "hang";
      if (kind === "receiver_closes") receiver.manner = "close";
      await pause(forMs);
      if (kind === "receiver_down") await receiver.up();
      receiver.status = 200;
      receiver.manner = "answer";
    })();
    return this.#receiver;
  }
}
