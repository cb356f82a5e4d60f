/**
 * What is owed to and by the device on one bridge: numbered facts, key commits in sequence, requests waiting for
 * an answer. Survives reconnects; `resume` sends again what the device has not got, commits before requests before
 * facts, so that a read sees the writes that came before it. Bounded everywhere; does no I/O of its own.
 */
import { FACTS_PER_FRAME_MAX } from "../src/bridge/device-frames.ts";
import type { Fact, HostFrame } from "../src/bridge/device-frames.ts";
import type { KeyRow, KeyType } from "../src/bridge/wire.ts";
import { err, ok } from "../src/domain/result.ts";
import type { Result } from "../src/domain/result.ts";
import type { CommitFailure, KeyCommit } from "./store.ts";

const FACTS_MAX = 5_000;
/** Others write what is in a receipt: what waits is bounded in bytes as well. */
const FACTS_BYTES_MAX = 16_000_000;
/** Of facts in one frame. The largest fact is a receipt of 300 ids, at most 240 KB. */
const PORTION_BYTES_MAX = 450_000;
const COMMITS_MAX = 256;
const REQUESTS_MAX = 512;
/** On a standing connection; while it is lost a request waits like everything else. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A fact waits this long for company; it leaves at once with any other frame. */
const FACT_WAIT_MS = 5;

type Answer = Result<{ rows?: KeyRow[]; text?: string | null }, { reason: string }>;
type Settled = Result<null, CommitFailure>;

interface KeptFact {
  n: number;
  fact: Fact;
  bytes: number;
}

interface Request {
  frame: HostFrame;
  settle: (answer: Answer) => void;
  timer: NodeJS.Timeout | null;
}

interface Commit {
  frame: HostFrame;
  settle: (outcome: Settled) => void;
}

export class BridgeLedger {
  readonly #send: (frame: HostFrame) => void;
  readonly #commits = new Map<number, Commit>();
  readonly #requests = new Map<number, Request>();
  #facts: KeptFact[] = [];
  #factsBytes = 0;
  #factN = 0;
  #factSentN = 0;
  #factTimer: NodeJS.Timeout | null = null;
  #seq = 0;
  #requestId = 0;
  #idle: (() => void)[] = [];
  #connected = false;
  #abandoned = false;

  constructor(send: (frame: HostFrame) => void) {
    this.#send = send;
  }

  /** False when too many facts wait. */
  addFact(fact: Fact): boolean {
    const bytes = Buffer.byteLength(JSON.stringify(fact));
    const isFull = this.#facts.length >= FACTS_MAX || this.#factsBytes + bytes > FACTS_BYTES_MAX;
    if (isFull) return false;
    this.#factN += 1;
    this.#facts.push({ n: this.#factN, fact, bytes });
    this.#factsBytes += bytes;
    this.#factTimer ??= setTimeout(() => this.sendFacts(), FACT_WAIT_MS);
    return true;
  }

  /** Before any other frame, so that the device hears things in the order they happened. */
  sendFacts(): void {
    if (this.#factTimer !== null) clearTimeout(this.#factTimer);
    this.#factTimer = null;
    const fresh = this.#facts.findIndex((entry) => entry.n > this.#factSentN);
    if (fresh === -1) return;
    for (let at = fresh; at < this.#facts.length;) {
      const portion = this.#portionFrom(at);
      const first = portion[0]?.n ?? this.#factN;
      this.#send({ t: "facts", first, facts: portion.map(({ fact }) => fact) });
      at += portion.length;
    }
    this.#factSentN = this.#factN;
  }

  /** As many as one frame carries, and at least one. */
  #portionFrom(at: number): KeptFact[] {
    const candidates = this.#facts.slice(at, at + FACTS_PER_FRAME_MAX);
    let bytes = 0;
    const count = candidates.findIndex((kept, index) => {
      bytes += kept.bytes + 1;
      return index > 0 && bytes > PORTION_BYTES_MAX;
    });
    return count === -1 ? candidates : candidates.slice(0, count);
  }

  factsDurable(n: number): void {
    const kept = this.#facts.findIndex((entry) => entry.n > n);
    this.#facts = kept === -1 ? [] : this.#facts.slice(kept);
    this.#factsBytes = this.#facts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  commit(commit: KeyCommit): Promise<Settled> {
    const full = this.#commits.size >= COMMITS_MAX;
    if (this.#abandoned || full) return Promise.resolve(err({ reason: "refused" }));
    this.#seq += 1;
    const frame: HostFrame = { t: "keys_commit", seq: this.#seq, ...commit };
    return new Promise((settle) => {
      this.#commits.set(this.#seq, { frame, settle });
      this.sendFacts();
      this.#send(frame);
    });
  }

  committed(seq: number): void {
    this.#settleCommit(seq, ok(null));
  }

  refused(seq: number): void {
    this.#settleCommit(seq, err({ reason: "refused" }));
  }

  /** The commit that has waited longest, or null. */
  get oldestCommit(): number | null {
    const [seq] = this.#commits.keys();
    return seq ?? null;
  }

  /** Given up: whether it happened is not known. */
  unanswered(seq: number): void {
    this.#settleCommit(seq, err({ reason: "unanswered" }));
  }

  async read(
    keys: { type: KeyType; ids: string[] }[],
  ): Promise<Result<KeyRow[], { reason: string }>> {
    const answer = await this.#request((id) => ({ t: "keys_get", id, keys }));
    return answer.ok ? ok(answer.value.rows ?? []) : answer;
  }

  async message(
    waId: string,
    chat: string,
    chatPhone: string | null,
  ): Promise<Result<string | null, { reason: string }>> {
    const answer = await this.#request((id) => ({ t: "message_get", id, waId, chat, chatPhone }));
    return answer.ok ? ok(answer.value.text ?? null) : answer;
  }

  answer(id: number, answer: Answer): void {
    const request = this.#requests.get(id);
    if (request === undefined) return;
    this.#requests.delete(id);
    stopTimer(request);
    request.settle(answer);
  }

  /** The connection is gone. What is asked is asked again on the next one, and has all its time then. */
  lost(): void {
    this.#connected = false;
    for (const request of this.#requests.values()) stopTimer(request);
  }

  /** After a welcome: forget what the device has, send the rest again in order. */
  resume(keysSeq: number, factN: number): void {
    for (const seq of this.#commits.keys()) if (seq <= keysSeq) this.committed(seq);
    if (this.#commits.size === 0) this.#seq = Math.max(this.#seq, keysSeq);
    this.#factN = Math.max(this.#factN, factN);
    this.factsDurable(factN);
    for (const { frame } of this.#commits.values()) this.#send(frame);
    this.#connected = true;
    for (const [id, request] of this.#requests) this.#ask(id, request);
    this.#factSentN = 0;
    this.sendFacts();
  }

  settled(): Promise<void> {
    if (this.#commits.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle.push(resolve);
    });
  }

  /** Nothing will be answered any more. */
  abandon(): void {
    this.#abandoned = true;
    if (this.#factTimer !== null) clearTimeout(this.#factTimer);
    for (const seq of this.#commits.keys()) this.#settleCommit(seq, err({ reason: "unknown" }));
    for (const id of this.#requests.keys()) this.answer(id, err({ reason: "bridge_over" }));
    this.#facts = [];
    this.#factsBytes = 0;
  }

  #settleCommit(seq: number, outcome: Settled): void {
    const commit = this.#commits.get(seq);
    if (commit === undefined) return;
    this.#commits.delete(seq);
    commit.settle(outcome);
    if (this.#commits.size > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  #request(frameOf: (id: number) => HostFrame): Promise<Answer> {
    if (this.#abandoned) return Promise.resolve(err({ reason: "bridge_over" }));
    if (this.#requests.size >= REQUESTS_MAX) return Promise.resolve(err({ reason: "overloaded" }));
    this.#requestId += 1;
    const id = this.#requestId;
    const frame = frameOf(id);
    return new Promise((settle) => {
      const request = { frame, settle, timer: null };
      this.#requests.set(id, request);
      this.sendFacts();
      this.#ask(id, request);
    });
  }

  #ask(id: number, request: Request): void {
    stopTimer(request);
    this.#send(request.frame);
    if (!this.#connected) return;
    request.timer = setTimeout(
      () => this.answer(id, err({ reason: "timeout" })),
      REQUEST_TIMEOUT_MS,
    );
  }
}

function stopTimer(request: Request): void {
  if (request.timer !== null) clearTimeout(request.timer);
  request.timer = null;
}
