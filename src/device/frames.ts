/**
 * Frames from hosts: parsed, answered, and acknowledged only once durable. Keys are written only under the current
 * epoch and in sequence; a commit stores keys, messages and texts in one transaction. A frame that cannot be read
 * is counted and never asked for again; if it asks for an answer it is refused, so that no host waits for ever.
 */
import type { Fact, HostFrame } from "../bridge/device-frames.ts";
import { answerableFrame, fact as factShape, hostFrame } from "../bridge/device-frames.ts";
import { PROTOCOL_VERSIONS_ACCEPTED } from "../bridge/versions.ts";
import { exceedsFrame, FRAME_BYTES_MAX, PING, PONG } from "../bridge/wire.ts";
import type { KeyRow } from "../bridge/wire.ts";
import { unreachable } from "../domain/result.ts";
import type { Counters } from "./counters.ts";
import type { Epochs } from "./epochs.ts";
import type { Facts } from "./facts.ts";
import type { HandOver } from "./handover.ts";
import type { HostWish } from "./host-wish.ts";
import type { Identity } from "./identity.ts";
import type { KeyCommits } from "./key-commits.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import type { Pairing } from "./pairing.ts";
import type { Receipts } from "./receipts.ts";
import { attemptsAgoMs } from "./session-facts.ts";
import type { SessionStore } from "./session-store.ts";
import type { Bridge, SocketAttachment } from "./socket.ts";
import { CLOSE_DONE, CLOSE_PROTOCOL, CLOSE_RESUME, CLOSE_TOO_BIG } from "./socket.ts";

const MALFORMED_MAX = 20;

export interface FramesParts {
  identity: Identity;
  epochs: Epochs;
  sessions: SessionStore;
  bridge: Bridge;
  facts: Facts;
  keyCommits: KeyCommits;
  receipts: Receipts;
  pairing: Pairing;
  handOver: HandOver;
  wish: HostWish;
  counters: Counters;
  transaction: (work: () => void) => void;
  sync: () => Promise<void>;
  /** Runs work that outlives the event: while storage is made durable the next frame is already read. */
  background: (work: Promise<void>) => void;
  closeEpoch: (reason: "new_epoch" | "unpaired", nowMs: number) => void;
}

export class Frames {
  readonly #parts: FramesParts;
  /** Sockets whose newest facts wait for storage to be durable. */
  readonly #acking = new Set<WebSocket>();

  constructor(parts: FramesParts) {
    this.#parts = parts;
  }

  async receive(socket: WebSocket, raw: string | ArrayBuffer, nowMs: number): Promise<void> {
    const { bridge } = this.#parts;
    const attachment = bridge.attachmentOf(socket);
    if (attachment === null) {
      bridge.close(socket, CLOSE_PROTOCOL, "unknown socket");
      return;
    }
    if (raw === PING) {
      socket.send(PONG);
      return;
    }
    if (typeof raw !== "string" || exceedsFrame(raw)) {
      bridge.close(socket, CLOSE_TOO_BIG, "frame too big");
      return;
    }
    const json = parseJson(raw);
    const parsed = hostFrame.safeParse(json);
    if (!parsed.success) {
      if (attachment.welcomed) await this.#answerUnreadable(socket, json);
      this.#countMalformed(socket, attachment, attachment.malformed + 1);
      return;
    }
    if (parsed.data.t === "hello") await this.#hello(socket, attachment, parsed.data, nowMs);
    else if (attachment.welcomed) await this.#handle(socket, attachment, parsed.data, nowMs);
    else bridge.close(socket, CLOSE_PROTOCOL, "hello first");
  }

  async #handle(
    socket: WebSocket,
    attachment: SocketAttachment,
    frame: Exclude<HostFrame, { t: "hello" }>,
    nowMs: number,
  ): Promise<void> {
    const { bridge, keyCommits, identity, closeEpoch } = this.#parts;
    switch (frame.t) {
      case "facts":
        this.#facts(socket, attachment, frame, nowMs);
        return;
      case "keys_get":
        await bridge.send(socket, this.#readKeys(frame, attachment));
        return;
      case "keys_commit": {
        const { seq } = frame;
        const refusal = keyCommits.commit(frame, attachment, nowMs);
        if (refusal === null) this.#parts.background(this.#committed(socket, seq));
        else await bridge.send(socket, { t: "keys_refused", seq, reason: refusal });
        return;
      }
      case "message_get": {
        // "Nothing" would be the end of the question, and the host of the current epoch would never hear it.
        if (attachment.epoch !== identity.state.epoch || attachment.superseded) return;
        const text = this.#parts.receipts.textFor(frame);
        await bridge.send(socket, { t: "message", id: frame.id, text });
        return;
      }
      case "goodbye":
        if (attachment.epoch === identity.state.epoch && !attachment.superseded) {
          closeEpoch("new_epoch", nowMs);
        }
        bridge.close(socket, CLOSE_DONE, "goodbye");
        return;
      default:
        unreachable(frame);
    }
  }

  async #hello(
    socket: WebSocket,
    attachment: SocketAttachment,
    hello: Extract<HostFrame, { t: "hello" }>,
    nowMs: number,
  ): Promise<void> {
    const { bridge, epochs, identity, sessions } = this.#parts;
    if (!PROTOCOL_VERSIONS_ACCEPTED.includes(hello.protocol)) {
      bridge.close(socket, CLOSE_PROTOCOL, "protocol version not accepted");
      return;
    }
    if (attachment.welcomed || attachment.resumeToken === null) {
      bridge.close(socket, CLOSE_PROTOCOL, "one hello only");
      return;
    }
    // The epoch this socket belongs to must be durable before keys are handed out under it.
    await this.#parts.sync();
    const { state } = identity;
    const row = epochs.row(attachment.epoch);
    if (row === null || attachment.epoch !== state.epoch) {
      await bridge.send(socket, { t: "revoked", reason: "new_epoch" });
      bridge.close(socket, CLOSE_DONE, "epoch over");
      return;
    }
    bridge.update(socket, {
      welcomed: true,
      protocol: hello.protocol,
      resumeToken: null,
      commandSeq: hello.lastCommandSeq,
      factN: row.factN,
    });
    const welcomed = bridge.send(socket, {
      t: "welcome",
      protocol: hello.protocol,
      epoch: row.epoch,
      resumeToken: attachment.resumeToken,
      generation: state.generation,
      pairing: state.paired === 1 ? "paired" : "unpaired",
      keysSeq: row.keysSeq,
      factN: row.factN,
      rows: state.paired === 1 ? sessions.rowsAtOpen(state.generation) : [],
      attemptsAgoMs: attemptsAgoMs(state, nowMs),
    });
    this.#parts.wish.bridgeFound();
    // The bridge was gone long enough to be noticed, the session behind it never closed.
    if (state.status === "reconnecting" && state.sessionEpoch === row.epoch) {
      identity.become("connected");
    }
    this.#parts.pairing.sendAgain(row.epoch, hello.lastCommandSeq);
    this.#parts.handOver.sendAgain(socket, row.epoch, hello.lastCommandSeq);
    this.#parts.handOver.pump(nowMs);
    await welcomed;
  }

  /** Durable before the host lets the bytes go. */
  async #committed(socket: WebSocket, seq: number): Promise<void> {
    await this.#parts.sync();
    await this.#parts.bridge.send(socket, { t: "keys_committed", seq });
  }

  #facts(
    socket: WebSocket,
    attachment: SocketAttachment,
    frame: Extract<HostFrame, { t: "facts" }>,
    nowMs: number,
  ): void {
    const { bridge, facts } = this.#parts;
    const { epoch } = attachment;
    const fresh = frame.facts
      .map((unread, index) => ({ n: frame.first + index, fact: factShape.safeParse(unread) }))
      .filter(({ n }) => n > attachment.factN);
    const readable = fresh.flatMap(({ n, fact }) => (fact.success ? [{ n, fact: fact.data }] : []));
    const apply = ({ n, fact }: { n: number; fact: Fact }): void =>
      facts.apply(fact, { epoch, n }, nowMs);
    const refused = this.#applyAll(readable, apply, nowMs);
    if (refused !== null) {
      // Nothing of it is stored; after the resume the host tells it again.
      bridge.update(socket, { factN: refused - 1 });
      bridge.close(socket, CLOSE_RESUME, "resume");
      return;
    }
    const last = fresh.at(-1);
    if (last !== undefined) bridge.update(socket, { factN: last.n });
    // Acknowledged all the same, since sent again it would be no clearer; nor does it count towards a close.
    if (readable.length < fresh.length) {
      this.#countMalformed(socket, attachment, Math.max(1, attachment.malformed));
    }
    this.#parts.background(this.#acknowledge(socket));
  }

  /**
   * All in one transaction, with what they make room for; or, when one of them fails, each in its own up to that
   * one: its number, or null.
   */
  #applyAll<F extends { n: number; fact: Fact }>(
    facts: readonly F[],
    apply: (one: F) => void,
    nowMs: number,
  ): number | null {
    const { handOver, identity, transaction } = this.#parts;
    try {
      transaction(() => {
        facts.forEach(apply);
        handOver.pump(nowMs);
      });
      return null;
    } catch (error) {
      logWarning("facts not applied together", errorFields(error));
    }
    for (const one of facts) {
      try {
        transaction(() => apply(one));
      } catch (error) {
        const { deviceId: device } = identity.state;
        logAlert("fact not applied", { device, kind: one.fact.kind, ...errorFields(error) });
        return one.n;
      }
    }
    return null;
  }

  /** One wait for storage serves all facts that came before it. */
  async #acknowledge(socket: WebSocket): Promise<void> {
    if (this.#acking.has(socket)) return;
    this.#acking.add(socket);
    let acknowledged = 0;
    try {
      for (;;) {
        const n = this.#parts.bridge.attachmentOf(socket)?.factN ?? 0;
        if (n <= acknowledged) return;
        await this.#parts.sync();
        await this.#parts.bridge.send(socket, { t: "fact_ack", n });
        acknowledged = n;
      }
    } finally {
      this.#acking.delete(socket);
    }
  }

  #readKeys(
    frame: Extract<HostFrame, { t: "keys_get" }>,
    attachment: SocketAttachment,
  ):
    | { t: "keys_rows"; id: number; rows: ReturnType<SessionStore["get"]> }
    | { t: "keys_error"; id: number } {
    const { identity, sessions } = this.#parts;
    const failed = { t: "keys_error", id: frame.id } as const;
    if (attachment.epoch !== identity.state.epoch || attachment.superseded) return failed;
    try {
      const rows = sessions.get(identity.state.generation, frame.keys);
      const bytes = rows.reduce((sum, row) => sum + rowBytesMax(row), 0);
      if (bytes <= FRAME_BYTES_MAX) return { t: "keys_rows", id: frame.id, rows };
      logWarning("keys asked for in too large a piece", { device: identity.state.deviceId });
      return failed;
    } catch (error) {
      logAlert("session store not readable", {
        device: identity.state.deviceId,
        ...errorFields(error),
      });
      return failed;
    }
  }

  async #answerUnreadable(socket: WebSocket, json: unknown): Promise<void> {
    const { bridge, counters } = this.#parts;
    const asked = answerableFrame.safeParse(json);
    if (!asked.success) return;
    const frame = asked.data;
    switch (frame.t) {
      case "keys_commit":
        counters.add("keys_refused");
        await bridge.send(socket, { t: "keys_refused", seq: frame.seq, reason: "unreadable" });
        return;
      case "keys_get":
        await bridge.send(socket, { t: "keys_error", id: frame.id });
        return;
      case "message_get":
        await bridge.send(socket, { t: "message", id: frame.id, text: null });
        return;
      default:
        unreachable(frame);
    }
  }

  #countMalformed(socket: WebSocket, attachment: SocketAttachment, malformed: number): void {
    const { bridge, counters, identity } = this.#parts;
    counters.add("frame_malformed");
    if (attachment.malformed === 0) {
      logAlert("bridge frame not understood", {
        device: identity.state.deviceId,
        host: attachment.hostId,
      });
    }
    bridge.update(socket, { malformed });
    if (malformed > MALFORMED_MAX)
      bridge.close(socket, CLOSE_PROTOCOL, "too many malformed frames");
  }
}

/** In a frame: a value is base64, and of an id each letter may be written in six bytes. */
function rowBytesMax({ id, value }: KeyRow): number {
  return (value?.length ?? 0) + 6 * id.length + 100;
}

function parseJson(raw: string): unknown {
  try {
    return JSON.parse(raw) as unknown;
  } catch (error) {
    return { malformed: errorFields(error).error };
  }
}
