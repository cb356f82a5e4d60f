/**
 * What WhatsApp saw, kept as it happened because the simulator forgets: who went and came, which texts were taken or
 * refused. Only reads.
 */
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";

const event = z.looseObject({
  seq: z.number(),
  atMs: z.number(),
  kind: z.string(),
  number: z.string(),
  id: z.string().optional(),
  to: z.string().optional(),
  error: z.unknown().optional(),
  from: z.string().optional(),
  keySeenBefore: z.boolean().optional(),
});
type Event = z.infer<typeof event>;
const page = z.object({ last: z.number(), events: z.array(event) });

export interface WhatsappMoment {
  atMs: number;
  /**
   * `used_key`: a contact, or the account's own phone, could not read a text under a key that it knew. `lost`: a text
   * that WhatsApp had taken was sent again, because its reader asked, and that WhatsApp lost.
   */
  kind: "online" | "disconnected" | "login" | "taken" | "refused" | "used_key" | "lost";
  /** The account's phone. */
  number: string;
  to: string;
  waId: string;
}

const LOOK_MS = 250;
const TIMEOUT_MS = 30_000;

export class WhatsappLog {
  readonly moments: WhatsappMoment[] = [];
  /** Everything, without texts, for whoever looks into a run that failed. */
  readonly lines: string[] = [];
  readonly #newest = new Map<string, { id: string; to: string }>();
  readonly #taken = new Set<string>();
  readonly #url: string;
  readonly #over = new AbortController();
  #reading: Promise<void> | null = null;
  #after = 0;

  constructor(url: string) {
    this.#url = url;
  }

  start(): void {
    this.#reading = this.#readAll();
    // Whoever stops it hears of a failure.
    this.#reading.catch(() => this.#over.abort());
  }

  /** Reads what has happened until now, then no more. */
  async stop(): Promise<void> {
    this.#over.abort();
    await this.#reading;
  }

  newestText(account: string): { id: string; to: string } | null {
    return this.#newest.get(account) ?? null;
  }

  async #readAll(): Promise<void> {
    for (;;) {
      const isOver = this.#over.signal.aborted;
      const isMore = await this.#readPage();
      if (isMore) continue;
      if (isOver) return;
      await pause(LOOK_MS);
    }
  }

  async #readPage(): Promise<boolean> {
    const response = await fetch(`${this.#url}/events/poll?after=${this.#after}`, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const { last, events } = page.parse(await response.json());
    this.#after = last;
    for (const one of events) {
      this.#note(one);
      this.lines.push(JSON.stringify({ ...one, text: undefined }));
    }
    return events.length > 0;
  }

  #note({ atMs, kind, number, id = "", to, error, from, keySeenBefore }: Event): void {
    if (kind === "online" || kind === "disconnected" || kind === "login") {
      this.moments.push({ atMs, kind, number, to: "", waId: "" });
    } else if (kind === "decrypt_failed" && keySeenBefore === true && from !== undefined) {
      this.moments.push({ atMs, kind: "used_key", number: from, to: number, waId: id });
    } else if (kind === "swallowed" && this.#taken.has(id)) {
      this.moments.push({ atMs, kind: "lost", number, to: to ?? "", waId: id });
    } else if (kind === "ack_sent" && to !== undefined) {
      if (error === undefined) this.#taken.add(id);
      const what = error === undefined ? "taken" : "refused";
      this.moments.push({ atMs, kind: what, number, to, waId: id });
      this.#newest.set(number, { id, to });
    }
  }
}
