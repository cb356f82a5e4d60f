/**
 * The session store of one device: rows live sealed at the edge, this is a write-through view of them. A read has
 * three outcomes: value, proved absent (null), error; an error fails the whole store, because "missing" would
 * make the client overwrite good keys with new ones. Staged rows are visible to reads at once and leave with the
 * next commit, so every frame carries a consistent newest state. Values are JSON text; refuses to interpret them.
 */
import { lazyKeyTypes } from "../src/bridge/wire.ts";
import type { KeyRow, KeyType } from "../src/bridge/wire.ts";
import type { InboundMessage } from "../src/bridge/device-frames.ts";
import type { Result } from "../src/domain/result.ts";
import { HostError } from "./log.ts";
import { encodeSessionRow, HeadRow, openSessionRow } from "./store-head.ts";
import type { DeviceSealer } from "./sealing.ts";
import { pause } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { Turns } from "./turns.ts";

const FRAME_ROWS_MAX = 1_500;
/** With it a frame has room for the largest text, every character of it escaped. */
const FRAME_ROW_BYTES_MAX = 400_000;
const ROW_OVERHEAD_BYTES = 60;
/** Ids in one read: their rows must fit one frame, and a session may be as large as a row can be. */
const READ_IDS_MAX = 100;
const READ_SESSIONS_MAX = 2;
const ROW_ID_CHARS_MAX = 200;
/** Rows nobody waits for (address mappings) leave at the latest after this. */
const IDLE_FLUSH_MS = 200;

export interface MessageTag {
  messageId: number;
  attempt: number;
}

export interface KeyCommit {
  rows: KeyRow[];
  forMessages: MessageTag[];
  inbound: InboundMessage[];
}

/** The way to the edge. `commit` settles when the rows are durable or never will be under this epoch. */
export interface KeyLink {
  read(keys: { type: KeyType; ids: string[] }[]): Promise<Result<KeyRow[], { reason: string }>>;
  commit(commit: KeyCommit): Promise<Result<null, CommitFailure>>;
}

/**
 * `refused`: proved not to have happened. `unknown`: the bridge ended before an answer. `unanswered`: the device
 * hears us and says nothing, so nothing is known either.
 */
export interface CommitFailure {
  reason: "refused" | "unknown" | "unanswered";
}

export type StoreFailure =
  | "unsealable"
  | "unreadable"
  | "commit_refused"
  | "commit_unanswered"
  | "creds_absent"
  | "closed";

/** What was left out so that the rest can be kept: only a contact's own doing brings it about. */
export type StoreWarning =
  | "session_trimmed"
  | "session_dropped"
  | "row_dropped"
  | "text_unreadable";

/** What every waiter gets once the store has failed; by then the socket to WhatsApp is gone. */
export class StoreFailed extends HostError {
  override name = "StoreFailed";
  readonly why: StoreFailure;

  constructor(why: StoreFailure) {
    super(`session store failed: ${why}`);
    this.why = why;
  }
}

/** This very commit was refused by the device: it has not happened and never will. */
export class CommitRefused extends StoreFailed {
  override name = "CommitRefused";

  constructor() {
    super("commit_refused");
  }
}

export interface StoreOptions {
  link: KeyLink;
  sealer: DeviceSealer;
  clock: Clock;
  /** Called once, synchronously, before any waiter hears of it: ends the socket to WhatsApp. */
  onFailure: (why: StoreFailure) => void;
  onRollback: () => void;
  onWarning: (warning: StoreWarning) => void;
  cachedRowsMax: number;
}

interface Entry {
  type: KeyType;
  id: string;
  /** Null: proved absent. */
  json: string | null;
  dirty: boolean;
}

const failureOf: Record<CommitFailure["reason"], StoreFailure> = {
  refused: "commit_refused",
  unknown: "closed",
  unanswered: "commit_unanswered",
};

const lazyTypes: ReadonlySet<KeyType> = new Set(lazyKeyTypes);

export class KeyStore {
  /** For whoever reads a row, changes it and puts it back: two at once would each lose what the other wrote. */
  readonly turns = new Turns();
  readonly #options: StoreOptions;
  /** Ordered by use, for eviction; rows that travel at open are never evicted: absent here is absent. */
  readonly #rows = new Map<string, Entry>();
  #eagerCount = 0;
  readonly #dirty = new Set<Entry>();
  readonly #head: HeadRow;
  readonly #closing = new AbortController();
  #lastCommit: Promise<void> = Promise.resolve();
  #idleFlush = false;
  #failure: StoreFailure | null = null;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#head = new HeadRow(options.clock.wallMs());
  }

  get failure(): StoreFailure | null {
    return this.#failure;
  }

  /** Takes the rows that came with the welcome. False when the store failed on them. */
  open(rows: KeyRow[]): boolean {
    let head: string | null = null;
    for (const row of rows) {
      if (row.value === null || lazyTypes.has(row.type)) continue;
      const opened = this.#options.sealer.unseal(row.type, row.id, row.value);
      if (!opened.ok) {
        this.fail("unsealable");
        return false;
      }
      if (row.type === "head") head = opened.value;
      else {
        this.#remember({ type: row.type, id: row.id, json: opened.value, dirty: false });
        this.#head.rowWritten(row.type, row.id, row.value);
      }
    }
    const paired = this.#rows.has(keyOf("creds", "creds"));
    if (paired && !this.#head.matches(head)) {
      this.#head.dropSessions(this.#options.clock.wallMs());
      this.#options.onRollback();
    }
    return true;
  }

  /** Values by id; null is proved absent. Rejects only after the store has failed. */
  async get(type: KeyType, ids: string[]): Promise<Map<string, string | null>> {
    this.#assertAlive();
    const found = new Map<string, string | null>();
    const missing: string[] = [];
    for (const id of ids) {
      const entry = this.#touch(type, id);
      if (!isRowId(id)) found.set(id, null);
      else if (entry !== undefined) found.set(id, entry.json);
      else if (lazyTypes.has(type)) missing.push(id);
      else found.set(id, null);
    }
    const idsMax = type === "session" ? READ_SESSIONS_MAX : READ_IDS_MAX;
    for (let start = 0; start < missing.length; start += idsMax) {
      const part = missing.slice(start, start + idsMax);
      for (const [id, json] of await this.#load(type, part)) found.set(id, json);
    }
    return found;
  }

  /** Visible to reads from now on; durable with the next commit. Equal values change nothing. */
  stage(type: KeyType, id: string, json: string | null): void {
    if (this.#failure !== null) return;
    if (!isRowId(id)) {
      this.warn("row_dropped");
      return;
    }
    const known = this.#rows.get(keyOf(type, id));
    if (known !== undefined && known.json === json) return;
    if (known?.dirty) this.#dirty.delete(known);
    const entry = { type, id, json, dirty: true };
    this.#remember(entry);
    this.#dirty.add(entry);
    if (!this.#idleFlush) void this.#flushWhenIdle();
  }

  /** Sends all staged rows with these tags; resolves when they are durable. */
  async commit(
    tags: { forMessages?: MessageTag[]; inbound?: InboundMessage[] } = {},
  ): Promise<void> {
    this.#assertAlive();
    const frames = this.#takeFrames();
    const forMessages = tags.forMessages ?? [];
    const inbound = tags.inbound ?? [];
    if (frames.length === 0) {
      if (forMessages.length === 0 && inbound.length === 0) return this.#lastCommit;
      frames.push([]);
    }
    const last = frames.length - 1;
    for (const [index, rows] of frames.entries()) {
      const commit =
        index === last ? { rows, forMessages, inbound } : { rows, forMessages: [], inbound: [] };
      this.#lastCommit = this.#send(commit);
      // Whoever needs the outcome awaits it; the store itself has then already failed.
      this.#lastCommit.catch(ignoreFailedStore);
    }
    return this.#lastCommit;
  }

  warn(warning: StoreWarning): void {
    this.#options.onWarning(warning);
  }

  /** Ends the store: the owner ends the socket first, then every waiter is refused. */
  fail(why: StoreFailure): void {
    if (this.#failure !== null) return;
    this.#failure = why;
    this.#options.onFailure(why);
    this.#closing.abort();
    this.#rows.clear();
    this.#dirty.clear();
  }

  async #send(commit: KeyCommit): Promise<void> {
    const outcome = await this.#options.link.commit(commit);
    if (!outcome.ok) {
      const { reason } = outcome.error;
      this.fail(failureOf[reason]);
      if (reason === "refused") throw new CommitRefused();
    }
    this.#assertAlive();
  }

  /** Answers what was read, not what the cache holds afterwards: it may already have forgotten some of it. */
  async #load(type: KeyType, ids: string[]): Promise<Map<string, string | null>> {
    const answer = await this.#options.link.read([{ type, ids }]);
    if (!answer.ok) this.fail("unreadable");
    this.#assertAlive();
    const values = new Map((answer.ok ? answer.value : []).map((row) => [row.id, row.value]));
    const loaded = new Map<string, string | null>();
    for (const id of ids) {
      // Written while the read was under way: ours is newer.
      const newer = this.#rows.get(keyOf(type, id));
      if (newer !== undefined) {
        loaded.set(id, newer.json);
        continue;
      }
      const sealed = values.get(id) ?? null;
      const json = sealed === null ? null : this.#open(type, id, sealed);
      loaded.set(id, json);
      this.#remember({ type, id, json, dirty: false });
    }
    return loaded;
  }

  #open(type: KeyType, id: string, sealed: string): string | null {
    const opened = this.#options.sealer.unseal(type, id, sealed);
    if (!opened.ok) {
      this.fail("unsealable");
      throw new StoreFailed("unsealable");
    }
    return type === "session"
      ? openSessionRow(opened.value, this.#head.sessionFloor)
      : opened.value;
  }

  #takeFrames(): KeyRow[][] {
    if (this.#dirty.size === 0) return [];
    const frames: KeyRow[][] = [[]];
    let bytes = 0;
    let headDirty = false;
    for (const entry of this.#dirty) {
      const row = this.#seal(entry);
      let frame = frames[frames.length - 1] ?? [];
      const rowBytes = (row.value?.length ?? 0) + row.id.length + ROW_OVERHEAD_BYTES;
      bytes += rowBytes;
      if (frame.length >= FRAME_ROWS_MAX || (bytes > FRAME_ROW_BYTES_MAX && frame.length > 0)) {
        frame = [];
        frames.push(frame);
        bytes = rowBytes;
      }
      frame.push(row);
      entry.dirty = false;
      if (!lazyTypes.has(entry.type)) {
        headDirty = true;
        this.#head.rowWritten(entry.type, entry.id, row.value);
      }
      // Read at most once more in its life, and there are hundreds.
      if (entry.type === "pre-key") this.#rows.delete(keyOf(entry.type, entry.id));
    }
    this.#dirty.clear();
    if (headDirty) frames[frames.length - 1]?.push(this.#sealHead());
    return frames;
  }

  #seal(entry: Entry): KeyRow {
    const { type, id, json } = entry;
    if (json === null) return { type, id, value: null };
    const plain = type === "session" ? encodeSessionRow(json, this.#head.writeNumber) : json;
    return { type, id, value: this.#options.sealer.seal(type, id, plain) };
  }

  #sealHead(): KeyRow {
    const plain = this.#head.next(this.#options.clock.wallMs());
    return { type: "head", id: "head", value: this.#options.sealer.seal("head", "head", plain) };
  }

  #remember(entry: Entry): void {
    const key = keyOf(entry.type, entry.id);
    const isNew = !this.#rows.delete(key);
    this.#rows.set(key, entry);
    if (isNew && !lazyTypes.has(entry.type)) this.#eagerCount += 1;
    const evictable = this.#rows.size - this.#eagerCount - this.#dirty.size;
    if (evictable <= this.#options.cachedRowsMax) return;
    for (const [oldKey, old] of this.#rows) {
      if (old.dirty || !lazyTypes.has(old.type)) continue;
      this.#rows.delete(oldKey);
      return;
    }
  }

  #touch(type: KeyType, id: string): Entry | undefined {
    const key = keyOf(type, id);
    const entry = this.#rows.get(key);
    if (entry === undefined) return undefined;
    this.#rows.delete(key);
    this.#rows.set(key, entry);
    return entry;
  }

  async #flushWhenIdle(): Promise<void> {
    this.#idleFlush = true;
    await pause(IDLE_FLUSH_MS, this.#closing.signal);
    this.#idleFlush = false;
    if (this.#failure !== null || this.#dirty.size === 0) return;
    await this.commit().catch(ignoreFailedStore);
  }

  #assertAlive(): void {
    if (this.#failure !== null) throw new StoreFailed(this.#failure);
  }
}

function keyOf(type: KeyType, id: string): string {
  return `${type}|${id}`;
}

/** Foreign names become ids, and some fit no row: such a row is never stored, so it is proved absent. */
function isRowId(id: string): boolean {
  return id.length > 0 && id.length <= ROW_ID_CHARS_MAX;
}

function ignoreFailedStore(error: unknown): void {
  if (!(error instanceof StoreFailed)) throw error;
}
