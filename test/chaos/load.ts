/**
 * The load: each account writes texts that no other text is equal to, now or later, some of them flawed on purpose,
 * withdraws some, and its contacts write back. What to do is drawn from the seed; when it happens is up to the machine.
 */
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../src/domain/clock.ts";
import type { Whatsapp } from "../flow/support/whatsapp.ts";
import { Chance } from "./chance.ts";
import { OldClient } from "./client.ts";
import { RESTRICTED_ACCOUNTS } from "./plan.ts";
import { SYSTEM_ERROR } from "./record.ts";
import type { Flaw, LoadRecord, SentText } from "./record.ts";
import type { Tenant } from "./tenants.ts";

export interface LoadOptions {
  seed: number;
  url: string;
  whatsapp: Whatsapp;
  tenants: readonly Tenant[];
  record: LoadRecord;
  /** Between two requests of an account, on average. */
  requestGapMs: number;
  /** Between two texts that an account's contacts write, on average. */
  inboundGapMs: number;
  /** How far ahead texts are scheduled at most. */
  aheadMaxMs: number;
}

const IN_FLIGHT_MAX = 8;
const PACKETS_MAX = 5;
const WORDS = [
  "pesanan",
  "sudah",
  "kami",
  "kirim",
  "janji",
  "besok",
  "tagihan",
  "lunas",
  "terima",
  "kasih",
];
const UNKNOWN_KEY = "0".repeat(32);

export class Load {
  readonly #options: LoadOptions;
  readonly #stopped = new AbortController();
  #loops: Promise<unknown>[] = [];
  #numbers = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Every text of this run has it, so that it is found wherever it should not be. */
  get mark(): string {
    return `kekacauan-${this.#options.seed}`;
  }

  /** One text to each contact of those whose new chats WhatsApp may close; before anything goes wrong. */
  async greet(): Promise<void> {
    const { tenants, seed, url, record } = this.#options;
    const restricted = tenants.filter(({ index }) => index < RESTRICTED_ACCOUNTS);
    await Promise.all(
      restricted.map(async (tenant) => {
        const chance = new Chance(seed, `greet ${tenant.index}`);
        const texts = tenant.contacts.map((to) => ({ ...this.#draw(tenant, chance, true), to }));
        for (const text of texts)
          Object.assign(text, { dueMs: null, flaw: "none", text: this.#text(chance, 2) });
        record.sent.push(...texts);
        const client = new OldClient(url, tenant.customer, chance);
        for (let at = 0; at < texts.length; at += PACKETS_MAX) {
          await client.send(texts.slice(at, at + PACKETS_MAX));
        }
      }),
    );
  }

  start(): void {
    this.#loops = this.#options.tenants.flatMap((tenant) => [
      this.#write(tenant),
      this.#writeBack(tenant),
    ]);
  }

  /** Begins nothing new; ends when every request has its answer or has been given up. */
  async finish(): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }

  async #write(tenant: Tenant): Promise<void> {
    const chance = new Chance(this.#options.seed, `load ${tenant.index}`);
    const client = new OldClient(this.#options.url, tenant.customer, chance);
    const underWay = new Set<Promise<void>>();
    while (await this.#wait(chance.gapMs(this.#options.requestGapMs))) {
      if (underWay.size >= IN_FLIGHT_MAX) continue;
      const request = this.#request(tenant, client, chance);
      underWay.add(request);
      void request.finally(() => underWay.delete(request));
    }
    await Promise.all(underWay);
  }

  async #request(tenant: Tenant, client: OldClient, chance: Chance): Promise<void> {
    const isWhole = chance.happens(0.97);
    const isFull = chance.happens(0.5);
    const count = isWhole || !isFull ? chance.whole(1, PACKETS_MAX) : PACKETS_MAX + 1;
    const texts = Array.from({ length: count }, () => this.#draw(tenant, chance, isWhole));
    this.#options.record.sent.push(...texts);
    const withdrawals = texts.map((text) => chance.happens(text.dueMs === null ? 0.03 : 0.3));
    const delays = texts.map(({ dueMs }) =>
      dueMs === null ? chance.whole(0, 300) : chance.whole(0, this.#options.aheadMaxMs + 1_000),
    );
    await client.send(texts, isWhole || isFull ? undefined : UNKNOWN_KEY);
    // What was refused because something did not answer is worth another try.
    const again = texts.filter(({ codes }) => codes.at(-1) === SYSTEM_ERROR);
    if (again.length > 0 && chance.happens(0.5)) {
      await pause(chance.whole(500, 2_000));
      await client.send(again);
    }
    await Promise.all(
      texts.map(async (text, at) => {
        if (withdrawals[at] !== true || text.ids.length === 0) return;
        await pause(delays[at]);
        await client.cancel(text);
      }),
    );
  }

  #draw(tenant: Tenant, chance: Chance, isWhole: boolean): SentText {
    const contact = chance.pick(tenant.contacts);
    const isLater = chance.happens(0.25);
    const aheadMs = chance.whole(2_000, this.#options.aheadMaxMs);
    const flaw = isWhole ? drawFlaw(tenant, chance) : "request";
    return {
      account: tenant.index,
      to: flaw === "number" ? "62811" : flaw === "stranger" ? tenant.stranger : contact,
      text:
        flaw === "length"
          ? this.#text(chance, 0).slice(-8)
          : this.#text(chance, chance.whole(0, 12)),
      flaw,
      dueMs: isLater ? systemClock() + aheadMs : null,
      codes: [],
      ids: [],
      lost: 0,
      cancel: "none",
    };
  }

  #text(chance: Chance, words: number): string {
    this.#numbers += 1;
    const number = String(this.#numbers).padStart(7, "0");
    const rest = Array.from({ length: words }, () => chance.pick(WORDS)).join(" ");
    return `${rest} ${this.mark}-${number}`.trim();
  }

  async #writeBack(tenant: Tenant): Promise<void> {
    const chance = new Chance(this.#options.seed, `inbound ${tenant.index}`);
    const { whatsapp, record, inboundGapMs } = this.#options;
    while (await this.#wait(chance.gapMs(inboundGapMs))) {
      const from = chance.pick(tenant.contacts);
      const text = this.#text(chance, chance.whole(0, 8));
      await whatsapp.write(from, tenant.customer.phone, text);
      record.written.push({ account: tenant.index, from, text });
    }
  }

  /** False when the load has been stopped meanwhile. */
  async #wait(waitMs: number): Promise<boolean> {
    try {
      await pause(waitMs, undefined, { signal: this.#stopped.signal });
      return true;
    } catch {
      // Only the stop ends a pause early.
      return false;
    }
  }
}

function drawFlaw({ index }: Tenant, chance: Chance): Flaw {
  const drawn = chance.next();
  if (drawn < 0.02) return "number";
  if (drawn < 0.04) return "length";
  return drawn < 0.06 && index >= RESTRICTED_ACCOUNTS ? "stranger" : "none";
}
