/**
 * The fence of the wire: a commit of session rows, with the messages whose ciphertext waits for it and the texts
 * decrypted with it, in one transaction. Refused unless it comes from the current epoch, in sequence, for messages
 * that are in that host's hands. An older commit is acknowledged without being applied.
 */
import type { HostFrame } from "../bridge/device-frames.ts";
import type { Counters } from "./counters.ts";
import type { Epochs } from "./epochs.ts";
import { judge } from "./evidence.ts";
import type { Identity } from "./identity.ts";
import type { Inbound } from "./inbound.ts";
import type { Judgement } from "./judgement.ts";
import { logAlert } from "../domain/log.ts";
import type { MessageRow } from "./message-row.ts";
import { factsOf } from "./message-row.ts";
import type { Outbox } from "./outbox.ts";
import type { Retention } from "./retention.ts";
import type { SessionStore } from "./session-store.ts";
import type { SocketAttachment } from "./socket.ts";

type Commit = Extract<HostFrame, { t: "keys_commit" }>;
type Refusal = "epoch_over" | "gap" | "pre_key_conflict";

export interface KeyCommitsParts {
  identity: Identity;
  epochs: Epochs;
  sessions: SessionStore;
  outbox: Outbox;
  judgement: Judgement;
  inbound: Inbound;
  retention: Retention;
  counters: Counters;
  transaction: (work: () => void) => void;
}

export class KeyCommits {
  readonly #parts: KeyCommitsParts;

  constructor(parts: KeyCommitsParts) {
    this.#parts = parts;
  }

  /** Null when the commit is in storage (now or from before). */
  commit(frame: Commit, source: SocketAttachment, nowMs: number): Refusal | null {
    const { identity, epochs, counters } = this.#parts;
    const { state } = identity;
    const epoch = epochs.row(source.epoch);
    if (epoch === null || source.epoch !== state.epoch || source.superseded) {
      counters.add("keys_refused");
      return "epoch_over";
    }
    if (frame.seq <= epoch.keysSeq) return null;
    if (frame.seq !== epoch.keysSeq + 1) return this.#refuse("gap");
    if (this.#parts.sessions.overwritesPreKey(state.generation, frame.rows)) {
      return this.#refuse("pre_key_conflict");
    }
    const rows = this.#messagesOf(frame, source.epoch, nowMs);
    if (rows === null) return this.#refuse("epoch_over");
    this.#store(frame, source.epoch, rows, nowMs);
    return null;
  }

  /** The messages of the commit, or null when one of them is not this host's to send. */
  #messagesOf(frame: Commit, epoch: number, nowMs: number): MessageRow[] | null {
    const rows: MessageRow[] = [];
    for (const { messageId, attempt } of frame.forMessages) {
      const row = this.#parts.outbox.get(messageId);
      if (row === null || row.epoch !== epoch) return null;
      const { changes } = judge(factsOf(row), { kind: "committed", attempt }, nowMs);
      if (changes === null) return null;
      rows.push(row);
    }
    return rows;
  }

  #store(frame: Commit, epoch: number, rows: readonly MessageRow[], nowMs: number): void {
    const { identity, epochs, sessions, judgement, inbound, retention, transaction } = this.#parts;
    transaction(() => {
      sessions.apply(identity.state.generation, frame.rows);
      epochs.setKeysSeq(epoch, frame.seq);
      for (const row of rows) {
        judgement.apply(
          row,
          { kind: "committed", attempt: row.attempts },
          row.attempts === 1 ? { commitEpoch1: epoch } : { commitEpoch2: epoch },
          nowMs,
        );
      }
      if (inbound.store(frame.inbound, nowMs) > 0) retention.expectWork(nowMs);
    });
  }

  #refuse(reason: Refusal): Refusal {
    this.#parts.counters.add("keys_refused");
    logAlert("key commit refused", { device: this.#parts.identity.state.deviceId, reason });
    return reason;
  }
}
