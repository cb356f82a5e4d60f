/**
 * What may happen to a device of the real Fleet and its hosts, as fast-check draws it, and the model that does it and
 * notes which key writes the device took. Expects nothing by itself but what is wrong at once.
 */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import fc from "fast-check";
import { vi } from "vitest";
import {
  enqueue,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  restart,
  rowsOf,
  type TestDevice,
  unwrap,
} from "./device-support.ts";
import {
  type Bridge,
  commitOn,
  ModelHost,
  settled,
  takeCommands,
  tell,
  theFleet,
} from "./fencing-hosts.ts";
import { approve, ring } from "./fleet-support.ts";

/** Null: of whoever came in last. */
type Whose = number | null;

export type Step =
  | { do: "report"; host: number }
  /** A decision of the fleet that it has forgotten since, or that reaches the host late. */
  | { do: "place"; host: number; entersNow: boolean; isOld: boolean }
  | { do: "enter"; host: number; ticketOf: number | null; ago: number }
  | { do: "resume"; host: Whose; ago: number; gotAll: boolean }
  | { do: "commit"; host: Whose; ago: number; seq: -1 | 0 | 1 | 2; forMessage: boolean }
  | { do: "prove"; host: Whose; ago: number; error: number | null }
  | { do: "cut" | "goodbye"; host: Whose; ago: number }
  | { do: "reboot"; host: number }
  | { do: "send"; count: number }
  | { do: "pass"; ms: number }
  | { do: "restart"; what: "device" | "fleet"; sockets: "hibernate" | "close" };

const host = fc.nat(2);
const whose: fc.Arbitrary<Whose> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 2, arbitrary: host },
);
/** Mostly its newest bridge or ticket. */
const ago = fc.constantFrom(0, 0, 0, 0, 1, 2);

export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("report" as const), host }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("enter" as const),
      host,
      ticketOf: fc.option(host, { freq: 3 }),
      ago,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("place" as const),
      host,
      entersNow: fc.constantFrom(true, true, true, false),
      isOld: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("resume" as const),
      host: whose,
      ago,
      gotAll: fc.boolean(),
    }),
  },
  {
    weight: 26,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      host: whose,
      ago,
      seq: fc.constantFrom<1 | 0 | 2 | -1>(1, 1, 1, 1, 1, 1, 0, 2, -1),
      forMessage: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("prove" as const),
      host: whose,
      ago,
      error: fc.constantFrom(null, null, 479),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("cut" as const, "goodbye" as const),
      host: whose,
      ago,
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reboot" as const), host }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("send" as const),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.constantFrom(1_000, 6_000, 16_000, 61_000, 181_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("restart" as const),
      what: fc.constantFrom("device" as const, "fleet" as const),
      sockets: fc.constantFrom("hibernate" as const, "close" as const),
    }),
  },
);

export interface Taken {
  epoch: number;
  seq: number;
  by: string;
  message: { id: number; attempt: number } | null;
}

export class Model {
  readonly device: TestDevice;
  readonly hosts: ModelHost[];
  /** Key writes that changed the device's rows, in their order. */
  readonly taken: Taken[] = [];
  readonly faults: string[] = [];
  refused = 0;
  #written = 0;
  /** Beside those of the fleet. */
  #placementId = 1_000_000;
  #row: string | null = null;

  constructor(device: TestDevice, hosts: ModelHost[]) {
    this.device = device;
    this.hosts = hosts;
  }

  static async make(): Promise<Model> {
    const device = await newDevice();
    const first = await pairedHost(device);
    first.hangUp();
    await first.untilClosed();
    const [shared, own] = [await approve(theFleet()), await approve(theFleet())];
    const hosts = [shared, shared, own].map((one, at) => new ModelHost(`${one.hostId}-${at}`, one));
    await theFleet().want(device.identity.deviceId);
    const model = new Model(device, hosts);
    await model.act({ do: "place", host: 0, entersNow: true, isOld: false });
    return model;
  }

  async act(step: Step): Promise<void> {
    const { device } = this;
    switch (step.do) {
      case "report":
        await this.#host(step.host).report(device);
        await ring(theFleet());
        return this.#host(step.host).report(device);
      case "place":
        return this.#place(step);
      case "enter":
        return this.#enter(step);
      case "resume": {
        const bridge = this.#bridge(step);
        const owner = this.hosts.find(({ bridges }) => bridge !== null && bridges.includes(bridge));
        if (bridge !== null) await owner?.resume(device, bridge, step.gotAll);
        return;
      }
      case "commit":
        return this.#commit(step);
      case "prove":
        return this.#prove(step);
      case "cut":
      case "goodbye":
        return this.#leave(step);
      case "reboot":
        this.#host(step.host).reboot();
        return;
      case "send":
        await enqueue(
          device,
          ...Array.from({ length: step.count }, (_, at) => messageTo(`62812345600${10 + at}`)),
        );
        return;
      case "pass":
        await passTime(device, step.ms);
        return ring(theFleet());
      case "restart":
        if (step.what === "device") return restart(device, step.sockets);
        await theFleet().hosts();
        return evictDurableObject(theFleet(), { webSockets: step.sockets });
    }
  }

  /** A host that nothing ails gets the phone and sends. */
  async endsWell(): Promise<boolean> {
    const approved = await approve(theFleet());
    const last = new ModelHost(approved.hostId, approved);
    const { device } = this;
    for (const one of this.hosts) one.control?.close();
    await unwrap(device.stub.poke());
    await enqueue(device, messageTo("6281234569999"));
    for (let turn = 0; turn < 12 && last.bridges.length === 0; turn += 1) {
      await passTime(device, 61_000);
      await theFleet().want(device.identity.deviceId);
      await last.report(device);
      await runDurableObjectAlarm(theFleet());
      await last.report(device);
      const ticket = last.tickets.at(-1);
      if (ticket !== undefined) await last.enter(device, ticket);
    }
    const [bridge] = last.bridges;
    if (bridge === undefined) return false;
    await vi.waitFor(async () => {
      await takeCommands(bridge);
      if (bridge.commands.length === 0) throw new Error("no message came");
    });
    const [command = null] = bridge.commands;
    const answer = await commitOn(bridge, bridge.seq + 1, "the last", command);
    last.control?.close();
    bridge.host.say({ t: "goodbye" });
    await theFleet().release(device.identity.deviceId);
    return answer === "committed";
  }

  #host(at: number): ModelHost {
    const found = this.hosts[at];
    if (found === undefined) throw new Error("no such host");
    return found;
  }

  #bridge({ host: at, ago: back }: { host: Whose; ago: number }): Bridge | null {
    const all = at === null ? this.hosts.flatMap(({ bridges }) => bridges) : this.#host(at).bridges;
    return all.toSorted((one, other) => one.opened - other.opened).at(-1 - back) ?? null;
  }

  async #place({ host: at, entersNow, isOld }: Extract<Step, { do: "place" }>): Promise<void> {
    const chosen = this.#host(at);
    if (!isOld) this.#placementId += 1;
    const minted = await this.device.stub.mintTicket({
      placementId: this.#placementId - Number(isOld),
      ...chosen.boot,
    });
    if (minted.ok) chosen.tickets.push(minted.value.ticket);
    if (entersNow) await this.#enter({ do: "enter", host: at, ticketOf: null, ago: 0 });
  }

  async #enter(step: Extract<Step, { do: "enter" }>): Promise<void> {
    const owner = this.#host(step.ticketOf ?? step.host);
    const ticket = owner.tickets.at(-1 - step.ago);
    if (ticket === undefined) return;
    const status = await this.#host(step.host).enter(this.device, ticket);
    const isOwn = owner.boot.bootId === this.#host(step.host).boot.bootId;
    if (!isOwn && status === 101) this.faults.push("a boot came in with another's ticket");
  }

  async #commit(step: Extract<Step, { do: "commit" }>): Promise<void> {
    const bridge = this.#bridge(step);
    if (bridge === null) return;
    await settled(this.device);
    await takeCommands(bridge);
    this.#written += 1;
    const value = `write ${this.#written}`;
    const seq = Math.max(1, bridge.seq + step.seq);
    const command = step.forMessage ? (bridge.commands.shift() ?? null) : null;
    const answer = await commitOn(bridge, seq, value, command);
    const [row] = await rowsOf<{ value: string }>(
      this.device,
      "SELECT value FROM session_rows WHERE type = 'session' AND id = 'w'",
    );
    if (answer === "refused") this.refused += 1;
    if (row?.value !== value) {
      if ((row?.value ?? null) !== this.#row) this.faults.push("keys changed by themselves");
      return;
    }
    if (answer === "refused") this.faults.push("refused keys were stored");
    this.#row = value;
    bridge.seq = seq;
    const message = command === null ? null : { id: command.messageId, attempt: command.attempt };
    this.taken.push({ epoch: bridge.epoch, seq, by: bridge.host.boot.bootId, message });
  }

  async #prove(step: Extract<Step, { do: "prove" }>): Promise<void> {
    const bridge = this.#bridge(step);
    const [command] = bridge?.commands ?? [];
    if (bridge === null || command === undefined) return;
    const to = `${command.to}@s.whatsapp.net`;
    tell(bridge, { kind: "ack", waId: command.waId, to, error: step.error });
    await settled(this.device);
  }

  async #leave(step: Extract<Step, { do: "cut" | "goodbye" }>): Promise<void> {
    const bridge = this.#bridge(step);
    if (bridge === null || bridge.host.closed !== null) return;
    if (step.do === "cut") bridge.host.hangUp();
    else bridge.host.say({ t: "goodbye" });
    await bridge.host.untilClosed();
  }
}
