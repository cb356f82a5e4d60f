/**
 * What happened at this device, in its own order: one small row an event, written with the change that causes it. It
 * names the message or text it is about, so no text is held twice, and a number learnt later is told. While nobody
 * wants events, none is written. Delivers nothing (feeds.ts).
 */
import type { EventType } from "../domain/event.ts";
import type { Counters } from "./counters.ts";
import { isEnded, statusOf } from "./evidence.ts";
import type { RenderedEvent, StoredEvent } from "./event-shape.ts";
import { renderEvent } from "./event-shape.ts";
import type { Identity } from "./identity.ts";
import { openInbound } from "./inbound.ts";
import type { EventsPage } from "./interface.ts";
import type { MessageRow } from "./message-row.ts";
import { isNameless } from "./message-row.ts";
import type { TextSeal } from "./text-seal.ts";

/** How long events may be asked for. */
export const EVENTS_KEPT_MS = 7 * 24 * 3_600_000;
/** Texts of one portion, in characters. */
const PORTION_TEXT_MAX = 1_000_000;

const SELECT = `
SELECT e.n, e.type, e.at_ms AS atMs, e.ref, e.reason, e.until_ms AS untilMs, e.phone,
  o.recipient, i.n AS inboundN, i.lid, i.wa_id AS waId, i.push_name AS pushName, i.kind, i.body, i.sent_ms AS sentMs,
  i.chat, i.sender, i.received_ms AS receivedMs, k.phone AS lidPhone
FROM events e
  LEFT JOIN outbox o ON e.type <> 'message.inbound' AND o.id = e.ref
  LEFT JOIN inbound i ON e.type = 'message.inbound' AND i.n = e.ref
  LEFT JOIN known_lids k ON k.lid = i.lid`;

export interface NewEvent {
  type: EventType;
  ref?: number;
  reason?: string | null;
  untilMs?: number | null;
  phone?: string | null;
}

type SealedEvent = Omit<StoredEvent, "body"> & {
  waId: string | null;
  body: ArrayBuffer | string | null;
};

export class Events {
  readonly #sql: SqlStorage;
  readonly #identity: Identity;
  readonly #counters: Counters;
  readonly #seal: TextSeal;
  /** The newest number; null when it must be looked up. */
  #lastN: number | null = null;

  constructor(sql: SqlStorage, identity: Identity, counters: Counters, seal: TextSeal) {
    this.#seal = seal;
    this.#sql = sql;
    this.#identity = identity;
    this.#counters = counters;
  }

  get areKept(): boolean {
    return this.#identity.state.keepsEvents === 1;
  }

  get lastN(): number {
    this.#lastN ??=
      this.#sql.exec<{ n: number | null }>("SELECT max(n) AS n FROM events").one().n ?? 0;
    return this.#lastN;
  }

  /** After a rollback: what is remembered may be ahead of the table. */
  forget(): void {
    this.#lastN = null;
  }

  /** Must run together with what it tells of. */
  add({ type, ref, reason, untilMs, phone }: NewEvent, nowMs: number): void {
    if (!this.areKept) return;
    const n = this.lastN + 1;
    this.#sql.exec(
      "INSERT INTO events (n, type, at_ms, ref, reason, until_ms, phone) VALUES (?, ?, ?, ?, ?, ?, ?)",
      n,
      type,
      nowMs,
      ref ?? null,
      reason ?? null,
      untilMs ?? null,
      phone ?? null,
    );
    this.#lastN = n;
  }

  /** A message got another status. Kabar's own texts and ids without a message are nobody's news. */
  message(row: MessageRow, nowMs: number): void {
    if (row.id < 0 || isNameless(row) || !isEnded(row.state)) return;
    this.add({ type: `message.${statusOf(row.state)}`, ref: row.id, reason: row.reason }, nowMs);
  }

  /** The next of these types (null: of all) after `afterN`. What cannot be told any more is left out. */
  after(
    afterN: number,
    types: readonly EventType[] | null,
    countMax: number,
    sinceMs = 0,
  ): RenderedEvent[] {
    const rows = this.#sql.exec<SealedEvent & Record<string, SqlStorageValue>>(
      `${SELECT} WHERE e.n > ? AND e.at_ms >= ?
         AND (? IS NULL OR e.type IN (SELECT value FROM json_each(?)))
       ORDER BY e.n LIMIT ?`,
      afterN,
      sinceMs,
      types === null ? null : 1,
      JSON.stringify(types ?? []),
      countMax,
    );
    const found: RenderedEvent[] = [];
    let length = 0;
    for (const { waId, ...sealed } of rows) {
      const row = { ...sealed, body: openInbound(this.#seal, waId ?? "", sealed.body) };
      length += row.body?.length ?? 0;
      if (found.length > 0 && length > PORTION_TEXT_MAX) break;
      found.push(renderEvent(row, this.#identity.state.waid));
    }
    return found;
  }

  /** For being asked: what happened after `afterN`, as far as it is kept. */
  page(afterN: number, countMax: number, nowMs: number): EventsPage {
    const found = this.after(afterN, null, countMax, nowMs - EVENTS_KEPT_MS);
    const last = found.at(-1)?.n;
    const isAll = found.length < countMax && (last === undefined || last === this.lastN);
    return {
      events: found.flatMap(({ n, event }) => (event === null ? [] : [{ n, event }])),
      upTo: isAll ? Math.max(afterN, this.lastN) : (last ?? afterN),
      kept: this.areKept,
    };
  }

  /** Whether anything of these types came after `afterN`. */
  hasAfter(afterN: number, types: readonly EventType[]): boolean {
    const found = this.#sql.exec(
      "SELECT 1 FROM events WHERE n > ? AND type IN (SELECT value FROM json_each(?)) LIMIT 1",
      afterN,
      JSON.stringify(types),
    );
    return found.toArray().length > 0;
  }

  /** Its message or text is gone: only that it was there can be told. */
  notRendered(): void {
    this.#counters.add("events_not_rendered");
  }

  /** Events of this range will never be told one by one: a name for all of them. */
  rangeName(fromN: number, toN: number): string {
    return `evt_${this.#identity.state.waid}_${fromN}_to_${toN}`;
  }
}
