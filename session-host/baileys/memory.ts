/**
 * What one device remembers in this process between two connections: caches of Baileys and the retry counts. All
 * bounded; nothing here must survive the process.
 */
import type { CacheStore } from "@whiskeysockets/baileys";
import { BoundedMap } from "../../src/domain/bounded-map.ts";
import type { Clock } from "../clock.ts";
import type { DeviceMemory } from "../whatsapp.ts";
import { RetryCounts } from "./retry-guard.ts";

const MINUTE_MS = 60_000;

/** A cache without timers: hundreds of devices would each keep one ticking. */
class AgingCache implements CacheStore {
  readonly #clock: Clock;
  readonly #lifeMs: number;
  readonly #entries: BoundedMap<string, { value: unknown; untilMs: number }>;

  constructor(clock: Clock, lifeMs: number, max: number) {
    this.#clock = clock;
    this.#lifeMs = lifeMs;
    this.#entries = new BoundedMap(max);
  }

  get<T>(key: string): T | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.untilMs > this.#clock.monotonicMs()) return entry.value as T;
    this.#entries.delete(key);
    return undefined;
  }

  set<T>(key: string, value: T): void {
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + this.#lifeMs });
  }

  del(key: string): void {
    this.#entries.delete(key);
  }

  flushAll(): void {
    this.#entries.clear();
  }
}

export class BaileysMemory implements DeviceMemory {
  readonly memory = "device";
  readonly userDevices: CacheStore;
  readonly messageRetries: CacheStore;
  readonly placeholders: CacheStore;
  readonly callOffers: CacheStore;
  readonly retryCounts = new RetryCounts();

  constructor(clock: Clock) {
    this.userDevices = new AgingCache(clock, 5 * MINUTE_MS, 500);
    this.messageRetries = new AgingCache(clock, 60 * MINUTE_MS, 500);
    this.placeholders = new AgingCache(clock, 60 * MINUTE_MS, 100);
    this.callOffers = new AgingCache(clock, 5 * MINUTE_MS, 50);
  }
}
