/**
 * One device of the fake edge: epochs and tickets, rows, facts, texts, and the switches of its bridge.
 */
import { EventEmitter } from "node:events";
import type { IncomingHttpHeaders } from "node:http";
import { randomBytes } from "node:crypto";
import type { WebSocket } from "ws";
import { fact as factShape, hostFrame } from "../../../src/bridge/device-frames.ts";
import type {
  Command,
  DeviceFrame,
  Fact,
  HostFrame,
  InboundMessage,
} from "../../../src/bridge/device-frames.ts";
import { lazyKeyTypes, PING, PONG } from "../../../src/bridge/wire.ts";
import type { KeyRow } from "../../../src/bridge/wire.ts";
import { textOf, waitUntil } from "./waiting.ts";

export type CommitFrame = Extract<HostFrame, { t: "keys_commit" }>;
type FactOf<K extends Fact["kind"]> = Extract<Fact, { kind: K }>;

export class FakeDevice {
  readonly deviceId: string;
  pairing: "unpaired" | "paired" = "unpaired";
  generation = 1;
  epoch = 0;
  keysSeq = 0;
  factN = 0;
  readonly rows = new Map<string, KeyRow>();
  readonly facts: Fact[] = [];
  readonly inbound: InboundMessage[] = [];
  readonly commits: CommitFrame[] = [];
  readonly frames: HostFrame[] = [];
  readonly questions: Extract<HostFrame, { t: "message_get" }>[] = [];
  readonly changes = new EventEmitter();
  /** Our sent texts by `waId|chat address`. */
  readonly texts = new Map<string, string>();
  opened = 0;
  /** Commits that fit are refused, held, or make the bridge break before an answer. */
  refuseCommit: (frame: CommitFrame) => boolean = () => false;
  holdCommit: (frame: CommitFrame) => boolean = () => false;
  cutAtCommit: (frame: CommitFrame) => boolean = () => false;
  refuseResume: number | null = null;
  answerPings = true;
  /** How long reads of keys take. */
  readDelayMs = 0;
  /** What the next welcome tells of connections tried before. */
  attemptsAgoMs: number[] | null = null;
  #tickets = new Set<string>();
  #resumeToken = "";
  #socket: WebSocket | null = null;
  #held: CommitFrame[] = [];
  #commands: { seq: number; command: Command }[] = [];

  constructor(deviceId: string) {
    this.deviceId = deviceId;
  }

  get connected(): boolean {
    return this.#socket !== null;
  }

  mintTicket(): string {
    const ticket = randomBytes(24).toString("base64url");
    this.#tickets.add(ticket);
    return ticket;
  }

  admits(headers: IncomingHttpHeaders): number {
    const resume = headers["x-kabar-resume"];
    if (resume !== undefined) {
      if (this.refuseResume !== null) return this.refuseResume;
      return resume === this.#resumeToken ? 101 : 403;
    }
    if (!this.#tickets.delete(String(headers["x-kabar-ticket"]))) return 403;
    this.epoch += 1;
    this.keysSeq = 0;
    this.factN = 0;
    this.#commands = [];
    this.#resumeToken = randomBytes(24).toString("base64url");
    return 101;
  }

  open(ws: WebSocket, _headers: IncomingHttpHeaders): void {
    this.#socket?.terminate();
    this.#socket = ws;
    this.opened += 1;
    ws.on("message", (data) => {
      const text = textOf(data);
      if (text === PING) {
        if (this.answerPings) ws.send(PONG);
        return;
      }
      const frame = hostFrame.parse(JSON.parse(text));
      this.frames.push(frame);
      this.#onFrame(frame);
      this.changes.emit("change");
    });
    ws.on("close", () => {
      if (this.#socket === ws) this.#socket = null;
      this.changes.emit("change");
    });
  }

  command(command: Command): void {
    const entry = { seq: this.#commands.length + 1, command };
    this.#commands.push(entry);
    this.#send({ t: "command", seq: entry.seq, command });
  }

  revoke(reason: "new_epoch" | "unpaired" | "shutdown"): void {
    this.#send({ t: "revoked", reason });
  }

  cut(): void {
    this.#socket?.terminate();
    this.#socket = null;
  }

  close(): void {
    this.changes.removeAllListeners();
    this.cut();
  }

  releaseCommits(): void {
    this.holdCommit = () => false;
    const held = this.#held;
    this.#held = [];
    for (const frame of held) this.#commit(frame);
  }

  factsOf<K extends Fact["kind"]>(kind: K): FactOf<K>[] {
    return this.facts.filter((fact): fact is FactOf<K> => fact.kind === kind);
  }

  async fact<K extends Fact["kind"]>(
    kind: K,
    fits: (fact: FactOf<K>) => boolean = () => true,
    withinMs = 10_000,
  ): Promise<FactOf<K>> {
    let found: FactOf<K> | undefined;
    await this.until(() => {
      found = this.factsOf(kind).find((fact) => fits(fact));
      return found !== undefined;
    }, withinMs);
    return found as FactOf<K>;
  }

  /** How many facts of each kind have come; cheaper than listing them. */
  readonly counts = new Map<Fact["kind"], number>();

  async until(condition: () => boolean, withinMs = 10_000): Promise<void> {
    await waitUntil(this.changes, condition, withinMs);
  }

  #hear(n: number, fact: Fact): void {
    if (n !== this.factN + 1) return;
    this.factN = n;
    this.facts.push(fact);
    this.counts.set(fact.kind, (this.counts.get(fact.kind) ?? 0) + 1);
    if (fact.kind === "paired") this.pairing = "paired";
  }

  #onFrame(frame: HostFrame): void {
    switch (frame.t) {
      case "hello":
        this.#welcome(frame.protocol, frame.lastCommandSeq);
        return;
      case "facts":
        frame.facts.forEach((one, index) => this.#hear(frame.first + index, factShape.parse(one)));
        this.#send({ t: "fact_ack", n: this.factN });
        return;
      case "keys_get":
        if (this.readDelayMs === 0) this.#answerRead(frame);
        else setTimeout(() => this.#answerRead(frame), this.readDelayMs);
        return;
      case "keys_commit":
        this.#onCommit(frame);
        return;
      case "message_get": {
        this.questions.push(frame);
        const addresses = [frame.chat, frame.chatPhone];
        const text = addresses
          .map((address) => this.texts.get(`${frame.waId}|${address}`))
          .find(Boolean);
        this.#send({ t: "message", id: frame.id, text: text ?? null });
        return;
      }
      case "goodbye":
        return;
    }
  }

  #answerRead({ id, keys }: Extract<HostFrame, { t: "keys_get" }>): void {
    const rows = keys.flatMap(({ type, ids }) =>
      ids.flatMap((rowId) => this.rows.get(`${type}|${rowId}`) ?? []),
    );
    this.#send({ t: "keys_rows", id, rows });
  }

  #welcome(protocol: number, lastCommandSeq: number): void {
    const lazy: readonly string[] = lazyKeyTypes;
    this.#send({
      t: "welcome",
      protocol,
      epoch: this.epoch,
      resumeToken: this.#resumeToken,
      generation: this.generation,
      pairing: this.pairing,
      keysSeq: this.keysSeq,
      factN: this.factN,
      rows: [...this.rows.values()].filter(({ type }) => !lazy.includes(type)),
      ...(this.attemptsAgoMs === null ? {} : { attemptsAgoMs: this.attemptsAgoMs }),
    });
    for (const { seq, command } of this.#commands) {
      if (seq > lastCommandSeq) this.#send({ t: "command", seq, command });
    }
  }

  #onCommit(frame: CommitFrame): void {
    if (this.cutAtCommit(frame)) this.cut();
    else if (this.refuseCommit(frame))
      this.#send({ t: "keys_refused", seq: frame.seq, reason: "epoch_over" });
    else if (this.holdCommit(frame)) this.#held.push(frame);
    else this.#commit(frame);
  }

  #commit(frame: CommitFrame): void {
    if (frame.seq <= this.keysSeq) {
      this.#send({ t: "keys_committed", seq: frame.seq });
      return;
    }
    if (frame.seq !== this.keysSeq + 1) {
      this.#send({ t: "keys_refused", seq: frame.seq, reason: "gap" });
      return;
    }
    this.keysSeq = frame.seq;
    this.commits.push(frame);
    this.inbound.push(...frame.inbound);
    for (const row of frame.rows) {
      if (row.value === null) this.rows.delete(`${row.type}|${row.id}`);
      else this.rows.set(`${row.type}|${row.id}`, row);
    }
    this.#send({ t: "keys_committed", seq: frame.seq });
    this.changes.emit("change");
  }

  #send(frame: DeviceFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }
}
