/** A running simulator for one test file, its control API, and clients that are linked to it. */

import assert from "node:assert/strict";
import type { EvidenceReport } from "../../../session-host/simulator/evidence.ts";
import type { EventKind, SimulatorEvent } from "../../../session-host/simulator/events.ts";
import type { ScreenMessage } from "../../../session-host/simulator/screen.ts";
import { startSimulator, type Simulator } from "../../../session-host/simulator/simulator.ts";
import { SimulatorClient } from "./simulator-client.ts";

const WAIT_MS = 20_000;

export class SimulatorBed {
  readonly simulator: Simulator;
  readonly #clients: SimulatorClient[] = [];
  #numbers = 0;

  constructor(simulator: Simulator) {
    this.simulator = simulator;
  }

  static async start(stateFile?: string): Promise<SimulatorBed> {
    const bed = new SimulatorBed(await startSimulator({ port: 0, stateFile }));
    await bed.post("/behaviour", { readDelayMs: 0 });
    return bed;
  }

  /** A number no other test uses. */
  number(): string {
    this.#numbers += 1;
    return `62812${String(7_000_001 + this.#numbers)}`;
  }

  client(): SimulatorClient {
    const client = new SimulatorClient(this.simulator.wsUrl);
    this.#clients.push(client);
    return client;
  }

  own(client: SimulatorClient): SimulatorClient {
    this.#clients.push(client);
    return client;
  }

  /** A client linked to a new account, online. */
  async linked(number = this.number()): Promise<{ client: SimulatorClient; number: string }> {
    const client = this.client();
    client.connect();
    const { qr } = await client.until("qr");
    const { status } = await this.post(`/phones/${number}/scan`, { qr });
    if (status !== 200) throw new Error(`scan was refused with ${status}`);
    await client.until("open");
    // Until the phone's first history message is worked in, the client buffers what it reports.
    await client.until("synced");
    return { client, number };
  }

  async post(
    path: string,
    body: unknown = {},
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const answer = await fetch(this.simulator.url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const parsed: Record<string, unknown> = await answer.json();
    return { status: answer.status, body: parsed };
  }

  async get<T>(path: string): Promise<T> {
    return (await (await fetch(this.simulator.url + path)).json()) as T;
  }

  evidence(): Promise<EvidenceReport> {
    return this.get<EvidenceReport>("/evidence");
  }

  /** A text on a screen, found by WhatsApp id. */
  async shown(
    number: string,
    id: string,
  ): Promise<(ScreenMessage & { duplicate: boolean }) | undefined> {
    return (
      await this.get<(ScreenMessage & { duplicate: boolean })[]>(
        `/messages?number=${number}&id=${id}`,
      )
    )[0];
  }

  get seq(): number {
    return this.simulator.network.events.last;
  }

  async event(
    kind: EventKind,
    number: string,
    fits: (event: SimulatorEvent) => boolean = () => true,
    after = 0,
  ): Promise<SimulatorEvent> {
    const matches = (event: SimulatorEvent): boolean =>
      event.seq > after && event.kind === kind && event.number === number && fits(event);
    const found = await this.simulator.network.events.waitFor(matches, WAIT_MS, after);
    if (found === undefined)
      throw new Error(
        `no event ${kind} for ${number}; saw ${JSON.stringify(this.simulator.network.events.after(after).slice(-20))}`,
      );
    return found;
  }

  /** Whatever the tests did, the simulator must have understood every stanza and found every signature right. */
  async close(): Promise<void> {
    const { unexpected, wrongSignatures } = await this.evidence();
    await Promise.all(this.#clients.map((client) => client.end()));
    await this.simulator.close();
    assert.deepEqual({ unexpected, wrongSignatures }, { unexpected: [], wrongSignatures: [] });
  }
}
