/**
 * Brings this host's alerts to the operator's sink: counted by kind, posted to the gateway some seconds' worth at a
 * time, tried again with backoff. Bounded by the kinds there are. The log line of each has been written before.
 */
import {
  HOST_ALERTS_PATH,
  type HostAlertKind,
  type HostAlerts,
} from "../src/bridge/host-alerts.ts";
import { HEADER_HOST_TOKEN } from "../src/bridge/wire.ts";
import { backoffMs } from "./backoff.ts";
import { pause } from "./clock.ts";
import type { Log } from "./log.ts";

const GATHER_MS = 200;
const GAP_MS = 5_000;
const TIMEOUT_MS = 5_000;
const RETRY = { firstMs: 5_000, capMs: 60_000, floorMs: 2_500 };

export interface AlertPostOptions {
  gatewayUrl: URL;
  hostToken: string;
  random: () => number;
  log: Log;
}

export class AlertPost {
  readonly #options: AlertPostOptions;
  readonly #waiting = new Map<HostAlertKind, { count: number; deviceId: string | null }>();
  #isRunning = false;

  constructor(options: AlertPostOptions) {
    this.#options = options;
  }

  add(kind: HostAlertKind, deviceId: string | null): void {
    this.#put(kind, deviceId, 1);
    if (!this.#isRunning) void this.#run();
  }

  /** Before the process ends by itself: one try, of bounded time. */
  async last(kind: HostAlertKind): Promise<void> {
    this.#put(kind, null, 1);
    await this.#post(this.#take());
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    await pause(GATHER_MS);
    for (let failures = 0; this.#waiting.size > 0;) {
      const alerts = this.#take();
      if (await this.#post(alerts)) {
        failures = 0;
        await pause(GAP_MS);
        continue;
      }
      for (const { kind, deviceId, count } of alerts) this.#put(kind, deviceId, count);
      await pause(backoffMs(failures, RETRY, this.#options.random()));
      failures += 1;
    }
    this.#isRunning = false;
  }

  #put(kind: HostAlertKind, deviceId: string | null, more: number): void {
    const count = (this.#waiting.get(kind)?.count ?? 0) + more;
    this.#waiting.set(kind, { count, deviceId });
  }

  #take(): ({ kind: HostAlertKind } & HostAlerts["alerts"][number])[] {
    const taken = [...this.#waiting].map(([kind, entry]) => ({ kind, ...entry }));
    this.#waiting.clear();
    return taken;
  }

  async #post(alerts: HostAlerts["alerts"]): Promise<boolean> {
    const { gatewayUrl, hostToken, log } = this.#options;
    try {
      const response = await fetch(new URL(HOST_ALERTS_PATH, gatewayUrl), {
        method: "POST",
        headers: {
          [HEADER_HOST_TOKEN]: `Bearer ${hostToken}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ alerts } satisfies HostAlerts),
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body?.cancel();
      if (response.ok) return true;
      log.warn({ status: response.status }, "alerts not taken by the gateway");
    } catch (error) {
      log.warn({ err: error }, "alerts not delivered to the gateway");
    }
    return false;
  }
}
