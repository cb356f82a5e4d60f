/**
 * Frames from hosts: parsed, answered, and acknowledged only once durable. Keys are written only under the current
 * epoch and in sequence; a commit stores keys, messages and texts in one transaction. A frame that cannot be read
 * is counted and dropped, never asked for again.
 */
import type { HostFrame } from "../bridge/device-frames.ts";
import { hostFrame } from "../bridge/device-frames.ts";
import {
  FRAME_BYTES_MAX,
  PING,
  PONG,
  PROTOCOL_VERSION,
  PROTOCOL_VERSIONS_ACCEPTED,
} from "../bridge/wire.ts";
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
import type { SessionStore } from "./session-store.ts";
import type { Bridge, SocketAttachment } from "./socket.ts";
import { CLOSE_DONE, CLOSE_PROTOCOL, CLOSE_RESUME } from "./socket.ts";

const MALFORMED_MAX = 20;
const CLOSE_TOO_BIG = 1009;

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
    if (typeof raw !== "string" || raw.length > FRAME_BYTES_MAX) {
      bridge.close(socket, CLOSE_TOO_BIG, "frame too big");
      return;
    }
    const json = parseJson(raw);
    const parsed = hostFrame.safeParse(json);
    if (!parsed.success) {
      await this.#malformed(socket, attachment, json);
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
      case "command_received":
        // What was received is asked for at a resume only.
        return;
      case "fact":
        await this.#fact(socket, attachment, frame, nowMs);
        return;
      case "keys_get":
        await bridge.send(socket, this.#readKeys(frame, attachment));
        return;
      case "keys_commit": {
        const refusal = keyCommits.commit(frame, attachment, nowMs);
        // Durable before the host lets the bytes go.
        if (refusal === null) await this.#parts.sync();
        await bridge.send(
          socket,
          refusal === null
            ? { t: "keys_committed", seq: frame.seq }
            : { t: "keys_refused", seq: frame.seq, reason: refusal },
        );
        return;
      }
      case "message_get": {
        const isCurrent = attachment.epoch === identity.state.epoch;
        const text = isCurrent ? this.#parts.receipts.textFor(frame) : null;
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
      resumeToken: null,
      commandSeq: hello.lastCommandSeq,
      factN: row.factN,
    });
    const welcomed = bridge.send(socket, {
      t: "welcome",
      protocol: PROTOCOL_VERSION,
      epoch: row.epoch,
      resumeToken: attachment.resumeToken,
      generation: state.generation,
      pairing: state.paired === 1 ? "paired" : "unpaired",
      keysSeq: row.keysSeq,
      factN: row.factN,
      rows: state.paired === 1 ? sessions.rowsAtOpen(state.generation) : [],
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

  async #fact(
    socket: WebSocket,
    attachment: SocketAttachment,
    frame: Extract<HostFrame, { t: "fact" }>,
    nowMs: number,
  ): Promise<void> {
    const { bridge, facts, identity, transaction } = this.#parts;
    if (frame.n > attachment.factN) {
      try {
        transaction(() => facts.apply(frame.fact, { epoch: attachment.epoch, n: frame.n }, nowMs));
      } catch (error) {
        // Nothing of it is stored; after the resume the host tells it again.
        logAlert("fact not applied", {
          device: identity.state.deviceId,
          kind: frame.fact.kind,
          ...errorFields(error),
        });
        bridge.close(socket, CLOSE_RESUME, "resume");
        return;
      }
      bridge.update(socket, { factN: frame.n });
    }
    await this.#acknowledge(socket);
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
      const bytes = rows.reduce((sum, row) => sum + (row.value?.length ?? 0) + 100, 0);
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

  /** A fact that cannot be read is acknowledged all the same: sent again it would be no clearer. */
  async #malformed(socket: WebSocket, attachment: SocketAttachment, json: unknown): Promise<void> {
    const { bridge, counters, identity } = this.#parts;
    counters.add("frame_malformed");
    const malformed = attachment.malformed + 1;
    if (malformed === 1) {
      logAlert("bridge frame not understood", {
        device: identity.state.deviceId,
        host: attachment.hostId,
      });
    }
    bridge.update(socket, { malformed });
    if (malformed > MALFORMED_MAX) {
      bridge.close(socket, CLOSE_PROTOCOL, "too many malformed frames");
      return;
    }
    const n = factNumberOf(json);
    if (n === null || !attachment.welcomed || n <= attachment.factN) return;
    bridge.update(socket, { factN: n });
    await this.#acknowledge(socket);
  }
}

function parseJson(raw: string): unknown {
  try {
    return JSON.parse(raw) as unknown;
  } catch (error) {
    return { malformed: errorFields(error).error };
  }
}

function factNumberOf(json: unknown): number | null {
  if (typeof json !== "object" || json === null) return null;
  if (!("t" in json) || json.t !== "fact" || !("n" in json)) return null;
  return typeof json.n === "number" && Number.isSafeInteger(json.n) && json.n > 0 ? json.n : null;
}
