/**
 * The one row of an endpoint: whose it is, its settings and secrets, how it stands, and how much it keeps. Read once and
 * held in memory; changes are written together at the end of a transaction (`save`). Decides nothing but who may call.
 */
import type { RandomBytes } from "../domain/id.ts";
import { invariant } from "../domain/result.ts";
import type {
  DisabledReason,
  EndpointIdentity,
  EndpointRefusal,
  EndpointSettings,
  EndpointView,
} from "./interface.ts";
import { drawSecret } from "../outgoing/signature.ts";

/** How long the former secret signs beside a new one. */
const ROTATION_OVERLAP_MS = 24 * 3_600_000;

export interface EndpointState {
  endpointId: string;
  accountId: number;
  /** JSON of EndpointSettings. */
  settings: string;
  secret: string;
  formerSecret: string | null;
  formerSecretUntilMs: number | null;
  disabledReason: DisabledReason | null;
  disabledMs: number | null;
  failingSinceMs: number | null;
  warnedMs: number | null;
  recoveredMs: number | null;
  queueFullMs: number | null;
  lastDeliveredMs: number | null;
  /** When something is to be forgotten next. */
  retentionMs: number | null;
  waiting: number;
  waitingBytes: number;
  delivered: number;
  dead: number;
}

export type EndpointPatch = Partial<Omit<EndpointState, "endpointId" | "accountId">>;

const COLUMNS: Record<keyof EndpointState, string> = {
  endpointId: "endpoint_id",
  accountId: "account_id",
  settings: "settings",
  secret: "secret",
  formerSecret: "former_secret",
  formerSecretUntilMs: "former_secret_until_ms",
  disabledReason: "disabled_reason",
  disabledMs: "disabled_ms",
  failingSinceMs: "failing_since_ms",
  warnedMs: "warned_ms",
  recoveredMs: "recovered_ms",
  queueFullMs: "queue_full_ms",
  lastDeliveredMs: "last_delivered_ms",
  retentionMs: "retention_ms",
  waiting: "waiting",
  waitingBytes: "waiting_bytes",
  delivered: "delivered",
  dead: "dead",
};
const NAMES = Object.keys(COLUMNS) as (keyof EndpointState)[];

/** Gives a blank object, whose tables exist, its identity. */
export function createRecord(
  sql: SqlStorage,
  who: EndpointIdentity,
  settings: EndpointSettings,
  secret: string,
): void {
  sql.exec(
    `INSERT INTO endpoint (one, endpoint_id, account_id, settings, secret, waiting, waiting_bytes, delivered, dead)
     VALUES (1, ?, ?, ?, ?, 0, 0, 0, 0)`,
    who.endpointId,
    who.accountId,
    JSON.stringify(settings),
    secret,
  );
}

export class EndpointRecord {
  readonly #sql: SqlStorage;
  #state: EndpointState;
  #settings: EndpointSettings;
  readonly #dirty = new Set<keyof EndpointState>();

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#state = this.#read();
    this.#settings = JSON.parse(this.#state.settings) as EndpointSettings;
  }

  get state(): Readonly<EndpointState> {
    return this.#state;
  }

  get settings(): EndpointSettings {
    return this.#settings;
  }

  /** Whether attempts may be made at all. */
  get isOpen(): boolean {
    return this.#settings.enabled && this.#state.disabledReason === null;
  }

  /** Null when the caller names this endpoint and its account. */
  refusalOf(who: EndpointIdentity): EndpointRefusal | null {
    const same =
      who.endpointId === this.#state.endpointId && who.accountId === this.#state.accountId;
    return same ? null : { reason: "foreign" };
  }

  patch(patch: EndpointPatch): void {
    for (const name of Object.keys(patch) as (keyof EndpointPatch)[]) {
      if (patch[name] !== this.#state[name]) this.#dirty.add(name);
    }
    this.#state = { ...this.#state, ...patch };
  }

  /** New settings are a new start: a disabling ends, and what failed before is tried at once. */
  configure(settings: EndpointSettings, nowMs: number): void {
    this.#settings = settings;
    this.patch({
      settings: JSON.stringify(settings),
      recoveredMs: nowMs,
      failingSinceMs: null,
      warnedMs: null,
      ...(settings.enabled ? { disabledReason: null, disabledMs: null } : {}),
    });
  }

  rotateSecret(
    random: RandomBytes,
    nowMs: number,
  ): { secret: string; formerSecretUntilMs: number } {
    const secret = drawSecret(random);
    const formerSecretUntilMs = nowMs + ROTATION_OVERLAP_MS;
    this.patch({ secret, formerSecret: this.#state.secret, formerSecretUntilMs });
    return { secret, formerSecretUntilMs };
  }

  /** The secrets that sign now, the newest first. */
  secretsAt(nowMs: number): string[] {
    const { secret, formerSecret, formerSecretUntilMs } = this.#state;
    const formerCounts = formerSecret !== null && (formerSecretUntilMs ?? 0) > nowMs;
    return formerCounts ? [secret, formerSecret] : [secret];
  }

  dropFormerSecret(nowMs: number): void {
    const untilMs = this.#state.formerSecretUntilMs;
    if (untilMs === null || untilMs > nowMs) return;
    this.patch({ formerSecret: null, formerSecretUntilMs: null });
  }

  /** At the end of a transaction, within it. */
  save(): void {
    if (this.#dirty.size === 0) return;
    const names = [...this.#dirty];
    this.#sql.exec(
      `UPDATE endpoint SET ${names.map((name) => `${COLUMNS[name]} = ?`).join(", ")}`,
      ...names.map((name) => this.#state[name]),
    );
    this.#dirty.clear();
  }

  /** After a transaction was rolled back, memory must not run ahead of storage. */
  reload(): void {
    this.#dirty.clear();
    this.#state = this.#read();
    this.#settings = JSON.parse(this.#state.settings) as EndpointSettings;
  }

  view(nowMs: number): EndpointView {
    const state = this.#state;
    const rotating = (state.formerSecretUntilMs ?? 0) > nowMs;
    return {
      endpointId: state.endpointId,
      settings: this.#settings,
      disabled:
        state.disabledReason === null
          ? null
          : { reason: state.disabledReason, atMs: state.disabledMs ?? nowMs },
      failingSinceMs: state.failingSinceMs,
      formerSecretUntilMs: rotating ? state.formerSecretUntilMs : null,
      waiting: state.waiting,
      dead: state.dead,
      lastDeliveredMs: state.lastDeliveredMs,
    };
  }

  #read(): EndpointState {
    const rows = this.#sql
      .exec<EndpointState & Record<string, SqlStorageValue>>(
        `SELECT ${NAMES.map((name) => `${COLUMNS[name]} AS ${name}`).join(", ")} FROM endpoint`,
      )
      .toArray();
    const row = rows[0];
    invariant(row !== undefined, "an endpoint with tables has an identity");
    return row;
  }
}
