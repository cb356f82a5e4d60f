/**
 * The bridge of one device: dials with a ticket, comes back with the resume token, keeps facts and key commits
 * until the device has acknowledged them and sends them again, in order, after a reconnect. Gives up when the
 * device refuses it or cannot be reached for a minute. Holds no keys and opens no seals.
 */
import { deviceFrame } from "../src/bridge/device-frames.ts";
import type { Command, DeviceFrame, Fact, HostFrame } from "../src/bridge/device-frames.ts";
import {
  HEADER_BOOT,
  HEADER_HOST_ID,
  HEADER_HOST_TOKEN,
  HEADER_RESUME,
  HEADER_TICKET,
  TICKET_LIFE_MS,
} from "../src/bridge/wire.ts";
import type { KeyRow, KeyType } from "../src/bridge/wire.ts";
import { ok, unreachable } from "../src/domain/result.ts";
import type { Result } from "../src/domain/result.ts";
import { BridgeLedger } from "./bridge-ledger.ts";
import { backoffMs } from "./backoff.ts";
import { pause } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { LeasedSocket } from "./leased-socket.ts";
import type { SocketEnd } from "./leased-socket.ts";
import type { Log } from "./log.ts";
import type { CommitFailure, KeyCommit, KeyLink } from "./store.ts";

const WELCOME_TIMEOUT_MS = 10_000;
const GIVE_UP_AFTER_MS = 60_000;
/** A process that was suspended finds its lease over and its socket alive: a few beats show which it is. */
const SILENT_BEATS_MAX = 8;
/** A device that is heard but leaves a key commit unanswered will not answer the next one either. */
const COMMIT_TIMEOUT_MS = 15_000;
const BAD_FRAMES_MAX = 10;
/** A connection that stood so long after its welcome has nothing to do with the one before it. */
const STOOD_MS = 5_000;
const RECONNECT = { firstMs: 100, capMs: 2_000, floorMs: 20 };

export type Welcome = Extract<DeviceFrame, { t: "welcome" }>;
export type Revocation = Extract<DeviceFrame, { t: "revoked" }>["reason"];
/** `refused`: the device wants another host or epoch. `done`: we said goodbye. */
export type BridgeEnd = "refused" | "lost" | "done" | "overloaded";

export interface BridgeOptions {
  url: URL;
  hostToken: string;
  hostId: string;
  bootId: string;
  ticket: string;
  sealKeyId: string;
  clock: Clock;
  random: () => number;
  log: Log;
  commitTimeoutMs?: number;
  /** The first welcome only; later ones resume. */
  onWelcome(welcome: Welcome): void;
  onCommand(command: Command): void;
  onRevoked(reason: Revocation): void;
  onEnd(end: BridgeEnd): void;
}

export class DeviceBridge implements KeyLink {
  readonly #options: BridgeOptions;
  readonly #ledger: BridgeLedger;
  readonly #startedMs: number;
  #socket: LeasedSocket | null = null;
  /** Its lease may still run while the next socket is being opened. */
  #previous: LeasedSocket | null = null;
  #welcomed = false;
  #openedMs = 0;
  #lostSinceMs: number;
  #epoch: number | null = null;
  #resumeToken: string | null = null;
  #lastCommandSeq = 0;
  #badFrames = 0;
  #silentBeats = 0;
  /** The commit whose answer is waited for on this connection, and since when. */
  #awaited: { seq: number; sinceMs: number } | null = null;
  #attempt = 0;
  /** Of this connection, after its welcome. */
  #stoodSinceMs: number | null = null;
  #ended = false;

  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#ledger = new BridgeLedger((frame) => this.#send(frame));
    this.#startedMs = options.clock.monotonicMs();
    this.#lostSinceMs = this.#startedMs;
    this.#dial();
  }

  get epoch(): number | null {
    return this.#epoch;
  }

  /** The version of the bridge that the device's side speaks. */
  get protocol(): number {
    return this.#socket?.protocol ?? 1;
  }

  get connected(): boolean {
    return this.#welcomed && this.#socket !== null && this.#socket.open;
  }

  leaseHolds(): boolean {
    return (this.#socket?.leaseHolds() ?? false) || (this.#previous?.leaseHolds() ?? false);
  }

  /**
   * The device stands behind this session: it answers, and has answered what was sent after `sinceMs`. Had it given
   * the phone to another host before, its word of that would have come first.
   */
  confirmedSince(sinceMs: number): boolean {
    const socket = this.#socket;
    return (
      this.connected && socket !== null && socket.leaseHolds() && socket.answeredSince(sinceMs)
    );
  }

  /** How long the device has been out of reach; 0 while connected. */
  lostForMs(): number {
    return this.connected ? 0 : this.#options.clock.monotonicMs() - this.#lostSinceMs;
  }

  /** On a beat of the host: a socket that stays silent is replaced. */
  watch(): void {
    const socket = this.#socket;
    if (socket === null || this.#ended || !socket.open) return;
    const openForMs = this.#options.clock.monotonicMs() - this.#openedMs;
    const silent = openForMs > WELCOME_TIMEOUT_MS && (!this.#welcomed || !socket.leaseHolds());
    this.#silentBeats = silent ? this.#silentBeats + 1 : 0;
    if (this.#silentBeats > SILENT_BEATS_MAX) socket.drop();
    this.#watchCommits();
  }

  #watchCommits(): void {
    const seq = this.connected ? this.#ledger.oldestCommit : null;
    const nowMs = this.#options.clock.monotonicMs();
    if (seq === null) this.#awaited = null;
    else if (this.#awaited?.seq !== seq) this.#awaited = { seq, sinceMs: nowMs };
    const limitMs = this.#options.commitTimeoutMs ?? COMMIT_TIMEOUT_MS;
    if (this.#awaited === null || nowMs - this.#awaited.sinceMs <= limitMs) return;
    this.#options.log.warn("key commit not answered");
    this.#ledger.unanswered(this.#awaited.seq);
    this.#awaited = null;
  }

  report(fact: Fact): void {
    if (this.#ended) return;
    if (!this.#ledger.addFact(fact)) this.#finish("overloaded");
  }

  read(keys: { type: KeyType; ids: string[] }[]): Promise<Result<KeyRow[], { reason: string }>> {
    return this.#ledger.read(keys);
  }

  commit(commit: KeyCommit): Promise<Result<null, CommitFailure>> {
    return this.#ledger.commit(commit);
  }

  /** The text of a message of ours if it went to this chat; null when it did not. */
  message(
    waId: string,
    chat: string,
    chatPhone: string | null,
  ): Promise<Result<string | null, { reason: string }>> {
    return this.#ledger.message(waId, chat, chatPhone);
  }

  /** Resolves when every key commit sent so far is settled. */
  settled(): Promise<void> {
    return this.#ledger.settled();
  }

  /** The last frame; what was sent before is read before it. */
  async goodbye(): Promise<void> {
    if (this.#ended) return;
    this.#ledger.sendFacts();
    this.#send({ t: "goodbye" });
    const socket = this.#socket;
    this.#finish("done");
    await socket?.close();
  }

  #dial(): void {
    const options = this.#options;
    const headers: Record<string, string> = {
      [HEADER_HOST_TOKEN]: `Bearer ${options.hostToken}`,
      [HEADER_HOST_ID]: options.hostId,
      [HEADER_BOOT]: options.bootId,
    };
    if (this.#resumeToken === null) headers[HEADER_TICKET] = options.ticket;
    else headers[HEADER_RESUME] = this.#resumeToken;
    this.#welcomed = false;
    const socket = new LeasedSocket(options.url, headers, options.clock, {
      onOpen: () => {
        this.#openedMs = options.clock.monotonicMs();
        socket.send({
          t: "hello",
          protocol: socket.protocol,
          lastCommandSeq: this.#lastCommandSeq,
          sealKeyId: options.sealKeyId,
        } satisfies HostFrame);
      },
      onText: (text) => this.#onText(text),
      onEnd: (end) => this.#onSocketEnd(end),
    });
    this.#socket = socket;
  }

  #onSocketEnd(end: SocketEnd): void {
    if (this.#ended) return;
    if (this.#welcomed) this.#lostSinceMs = this.#options.clock.monotonicMs();
    this.#welcomed = false;
    this.#ledger.lost();
    // A redial that came to nothing must not end the lease of the socket before it.
    if (this.#socket?.leaseHolds() === true) this.#previous = this.#socket;
    this.#socket = null;
    const isFinal = end.kind === "refused" ? end.status < 500 : end.kind === "no_common_version";
    if (isFinal) {
      this.#finish("refused");
      return;
    }
    void this.#redial();
  }

  async #redial(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    // One that ends as soon as it stands is no better than none: the pauses go on growing.
    if (this.#stoodSinceMs !== null && nowMs - this.#stoodSinceMs >= STOOD_MS) this.#attempt = 0;
    this.#stoodSinceMs = null;
    await pause(backoffMs(this.#attempt, RECONNECT, this.#options.random()));
    this.#attempt += 1;
    if (this.#ended) return;
    const now = this.#options.clock.monotonicMs();
    const ticketDead = this.#resumeToken === null && now - this.#startedMs > TICKET_LIFE_MS;
    if (ticketDead || now - this.#lostSinceMs > GIVE_UP_AFTER_MS) this.#finish("lost");
    else this.#dial();
  }

  #onText(text: string): void {
    const frame = parseDeviceFrame(text);
    if (frame !== null) {
      this.#onFrame(frame);
      return;
    }
    this.#badFrames += 1;
    this.#options.log.warn({ count: this.#badFrames }, "frame of the device not understood");
    if (this.#badFrames > BAD_FRAMES_MAX) this.#socket?.drop();
  }

  #onFrame(frame: DeviceFrame): void {
    switch (frame.t) {
      case "welcome":
        this.#onWelcome(frame);
        return;
      case "command":
        if (frame.seq <= this.#lastCommandSeq) return;
        this.#lastCommandSeq = frame.seq;
        this.#options.onCommand(frame.command);
        return;
      case "fact_ack":
        this.#ledger.factsDurable(frame.n);
        return;
      case "keys_rows":
        this.#ledger.answer(frame.id, ok({ rows: frame.rows }));
        return;
      case "keys_error":
        this.#ledger.answer(frame.id, { ok: false, error: { reason: "keys_error" } });
        return;
      case "message":
        this.#ledger.answer(frame.id, ok({ text: frame.text }));
        return;
      case "keys_committed":
        this.#ledger.committed(frame.seq);
        return;
      case "keys_refused":
        this.#options.log.warn({ reason: frame.reason }, "key commit refused");
        this.#ledger.refused(frame.seq);
        return;
      case "revoked":
        this.#options.onRevoked(frame.reason);
        return;
      default:
        unreachable(frame);
    }
  }

  #onWelcome(welcome: Welcome): void {
    const first = this.#epoch === null;
    if (!first && this.#epoch !== welcome.epoch) {
      this.#finish("refused");
      return;
    }
    this.#epoch = welcome.epoch;
    this.#resumeToken = welcome.resumeToken;
    this.#welcomed = true;
    this.#stoodSinceMs = this.#options.clock.monotonicMs();
    this.#awaited = null;
    this.#ledger.resume(welcome.keysSeq, welcome.factN);
    if (first) this.#options.onWelcome(welcome);
  }

  #send(frame: HostFrame): void {
    if (this.#welcomed) this.#socket?.send(frame);
  }

  #finish(end: BridgeEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#ledger.abandon();
    if (end !== "done") this.#socket?.drop();
    this.#options.onEnd(end);
  }
}

function parseDeviceFrame(text: string): DeviceFrame | null {
  try {
    const parsed = deviceFrame.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    // Not JSON: counted by the caller.
    return null;
  }
}
