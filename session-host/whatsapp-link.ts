/**
 * The WhatsApp side of a session: at most one connection, when it may start, what its end means, when to try
 * again. Asks before every attempt whether it may act, and reports every change. Knows nothing of the bridge's
 * frames and never reads a key.
 */
import type { HostAlertKind } from "../src/bridge/host-alerts.ts";
import type { Fact } from "../src/bridge/device-frames.ts";
import { unreachable } from "../src/domain/result.ts";
import type { Clock } from "./clock.ts";
import { reactionTo } from "./disconnect.ts";
import type { Closer, Reaction } from "./disconnect.ts";
import type { Log } from "./log.ts";
import type { LoginWaves } from "./login-waves.ts";
import type { HostMetrics } from "./metrics.ts";
import { PairingRun } from "./pairing-run.ts";
import { ReconnectPlan } from "./reconnect.ts";
import type { ReconnectOptions } from "./reconnect.ts";
import type { KeyStore } from "./store.ts";
import type {
  Closed,
  Credentials,
  DeviceMemory,
  WhatsApp,
  WhatsAppConnection,
  WhatsAppHandlers,
} from "./whatsapp.ts";

/** Neither QR nor open nor close within this: a refused upgrade looks like that. */
const CONNECT_WATCHDOG_MS = 30_000;
/** Replaced again within this: somebody else keeps logging in with these keys. */
const REPLACED_WINDOW_MS = 600_000;

export type LinkState = "waiting" | "connecting" | "open" | "closed";

export interface LinkOptions {
  clock: Clock;
  random: () => number;
  log: Log;
  metrics: HostMetrics;
  raiseAlert: (kind: HostAlertKind) => void;
  whatsApp: WhatsApp;
  waves: LoginWaves;
  reconnect: ReconnectOptions;
  connectWatchdogMs?: number;
  /** Ends the wait for a place in the login wave. */
  over: AbortSignal;
  /** Lease and epoch. */
  mayAct(): boolean;
  /** WhatsApp refuses this version of the client: no phone of this host shall try it again. */
  onClientRefused(): void;
  /** The device stood behind this session after that moment, and still does. Monotonic. */
  confirmedSince(sinceMs: number): boolean;
  sentText(waId: string, chat: string, chatPhone: string | null): Promise<string | null>;
  report(fact: Fact): void;
}

export class WhatsAppLink {
  readonly #options: LinkOptions;
  readonly #store: KeyStore;
  readonly #memory: DeviceMemory;
  readonly #plan: ReconnectPlan;
  #credentials: Credentials | null = null;
  #pairing: PairingRun | null = null;
  #connection: WhatsAppConnection | null = null;
  #leaveWave: (() => void) | null = null;
  #watchdog: NodeJS.Timeout | null = null;
  #state: LinkState = "waiting";
  /** Monotonic; null: no attempt is planned. */
  #nextAttemptMs: number | null = null;
  #replacedMs: number | null = null;
  /** A login ends every other one of this phone, so the device must have confirmed us since. */
  #confirmAfterMs = Number.NEGATIVE_INFINITY;
  #drainedEarly = false;

  /** `attemptsAgoMs`: when this phone's last connections were tried, here or elsewhere. */
  constructor(options: LinkOptions, store: KeyStore, attemptsAgoMs: readonly number[]) {
    this.#options = options;
    this.#store = store;
    this.#memory = options.whatsApp.newMemory();
    this.#plan = new ReconnectPlan(options.reconnect, attemptsAgoMs, options.clock.monotonicMs());
  }

  get state(): LinkState {
    return this.#state;
  }

  get connected(): boolean {
    return this.#connection !== null;
  }

  /** Null while it is not open. */
  get openConnection(): WhatsAppConnection | null {
    return this.#state === "open" ? this.#connection : null;
  }

  get phone(): string | null {
    return this.#credentials === null ? null : this.#options.whatsApp.phoneOf(this.#credentials);
  }

  /** Logs in with the stored credentials as soon as it may. */
  start(credentials: Credentials): void {
    this.#credentials = credentials;
    this.#attemptSoon();
  }

  /** A device with keys never starts a pairing: they would be lost. A running attempt is replaced. */
  pair(phone: string | null): void {
    if (this.#credentials !== null || this.#store.failure !== null) {
      this.#options.log.warn("pair command for a paired device ignored");
      return;
    }
    this.#endConnection();
    this.#pairing = new PairingRun(phone, this.#options.whatsApp.freshCredentials());
    this.#attemptSoon();
  }

  #attemptSoon(): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#nextAttemptMs = nowMs + this.#plan.windowWaitMs(nowMs);
    this.watch();
  }

  /** Starts what is due. */
  watch(): void {
    const dueMs = this.#nextAttemptMs;
    if (this.#connection !== null || dueMs === null) return;
    if (this.#options.clock.monotonicMs() < dueMs) return;
    if (this.#healthy()) void this.#connect();
  }

  /** The socket first, then the consequences. */
  close(closer: Closer): void {
    if (this.#connection === null) return;
    this.#endConnection();
    this.#afterClose(closer);
  }

  /** The store is gone: whatever runs ends, and nothing is tried again. */
  abandon(closer: Closer, tell: boolean): void {
    const connected = this.#connection !== null;
    this.#endConnection();
    if (connected || tell) this.#afterClose(closer);
    this.#nextAttemptMs = null;
    this.#pairing = null;
  }

  async #connect(): Promise<void> {
    const { clock, waves, over } = this.#options;
    const credentials = this.#pairing?.credentials ?? this.#credentials;
    this.#nextAttemptMs = null;
    if (credentials === null) return;
    const leave = await waves.enter(over);
    if (leave === null) return;
    const outdated =
      this.#connection !== null ||
      (this.#pairing?.credentials ?? this.#credentials) !== credentials ||
      this.#store.failure !== null;
    if (outdated || !this.#healthy()) {
      leave();
      if (!outdated) this.#nextAttemptMs = clock.monotonicMs();
      return;
    }
    this.#leaveWave = leave;
    this.#drainedEarly = false;
    this.#state = "connecting";
    this.#options.report(sessionFact("connecting"));
    this.#plan.started(clock.monotonicMs());
    this.#watchdog = setTimeout(
      () => this.close({ by: "watchdog" }),
      this.#options.connectWatchdogMs ?? CONNECT_WATCHDOG_MS,
    );
    this.#connection = this.#open(credentials);
  }

  #open(credentials: Credentials): WhatsAppConnection {
    const { whatsApp } = this.#options;
    // A late event of an ended connection must not be taken for one of its successor.
    const current = (): boolean => this.#connection === connection;
    const connection = whatsApp.connect({
      credentials,
      store: this.#store,
      memory: this.#memory,
      mayAct: () => this.#options.mayAct(),
      onForbidden: () => {
        if (current()) this.close({ by: "lease" });
      },
      sentText: (waId, chat, chatPhone) => this.#options.sentText(waId, chat, chatPhone),
      handlers: this.#handlers(credentials, current),
    });
    return connection;
  }

  #handlers(credentials: Credentials, current: () => boolean): WhatsAppHandlers {
    const report = (fact: Fact): void => this.#options.report(fact);
    return {
      onQr: (qr) => {
        if (current()) void this.#onQr(qr);
      },
      onPaired: (account) => {
        // It waited for the device's word; a phone that was scanned is linked, whatever became of that connection.
        if (!current() && this.#pairing?.credentials !== credentials) return;
        this.#credentials = credentials;
        this.#pairing?.finish();
        report({ kind: "paired", ...account });
        if (this.#state === "open") this.#tellOpen();
      },
      onOpen: () => {
        if (current()) this.#onOpen();
      },
      onClosed: (closed) => {
        if (current()) this.#onClosed(closed);
      },
      onFact: (fact) => {
        if (fact.kind !== "drained") report(fact);
        else if (current()) this.#onDrained();
      },
    };
  }

  async #onQr(qr: string): Promise<void> {
    this.#arrived();
    const connection = this.#connection;
    const run = this.#pairing;
    if (run === null || connection === null) return;
    const facts = await run.onQr(qr, connection, this.#options.clock.wallMs());
    if (this.#connection === connection) for (const fact of facts) this.#options.report(fact);
  }

  #onOpen(): void {
    this.#arrived();
    this.#plan.opened(this.#options.clock.monotonicMs());
    this.#state = "open";
    this.#tellOpen();
    if (this.#drainedEarly) this.#options.report({ kind: "drained" });
    this.#drainedEarly = false;
  }

  /** Of a phone whose pairing the device has not heard of yet it is told again then. */
  #tellOpen(): void {
    if (this.#pairing?.finished === true) this.#pairing = null;
    this.#options.report(sessionFact("open"));
  }

  /** The backlog may be through before the login is: the device hears of it after `open`. */
  #onDrained(): void {
    if (this.#state === "open") this.#options.report({ kind: "drained" });
    else this.#drainedEarly = true;
  }

  #onClosed(closed: Closed): void {
    this.#connection = null;
    this.#afterClose({ by: "whatsapp", ...closed });
  }

  #endConnection(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.end();
    this.#arrived();
  }

  #afterClose(closer: Closer): void {
    const { clock, metrics, log, raiseAlert } = this.#options;
    const reaction = reactionTo(closer, this.#pairing !== null && !this.#pairing.finished);
    // Before the place in the line is given back: who waits there would try the same client.
    if (reaction.reason === "client_outdated") this.#options.onClientRefused();
    this.#arrived();
    const nowMs = clock.monotonicMs();
    const waitMs = this.#waitAfter(reaction.reconnect, nowMs);
    this.#nextAttemptMs = waitMs === null ? null : nowMs + waitMs;
    if (reaction.reconnect === "never") this.#pairing = null;
    else this.#renewPairing();
    const code = closer.by === "whatsapp" ? closer.code : null;
    const { reason } = reaction;
    log.info({ reason, code, by: closer.by, retryInMs: waitMs }, "whatsapp connection closed");
    metrics.closes.inc({ reason });
    // A refused version is the Fleet's to tell of, once for all phones.
    if (reason === "blocked") {
      metrics.alerts.inc({ kind: reason });
      raiseAlert(reason);
      log.error({ reason }, "whatsapp refuses this client");
    }
    this.#state = "closed";
    this.#options.report({
      kind: "session",
      state: "closed",
      reason,
      code,
      byWhatsApp: reaction.byWhatsApp && this.#healthy(),
      retryAtMs: waitMs === null ? null : clock.wallMs() + Math.round(waitMs),
    });
    if (waitMs === 0) this.watch();
  }

  /** Unless the phone is linked by now, and what follows is its login. */
  #renewPairing(): void {
    const { whatsApp } = this.#options;
    const run = this.#pairing;
    if (run === null || run.finished || whatsApp.isLinked(run.credentials)) return;
    this.#pairing = run.anew(whatsApp.freshCredentials());
  }

  #waitAfter(reconnect: Reaction["reconnect"], nowMs: number): number | null {
    const backoff = (): number => this.#plan.afterClose(nowMs, this.#options.random());
    switch (reconnect) {
      case "at_once":
      case "when_allowed":
        return this.#plan.windowWaitMs(nowMs);
      case "backoff":
        return backoff();
      case "once": {
        const again = this.#replacedMs !== null && nowMs - this.#replacedMs < REPLACED_WINDOW_MS;
        this.#replacedMs = nowMs;
        // Perhaps by the host that has the phone now.
        this.#confirmAfterMs = nowMs;
        return again ? null : backoff();
      }
      case "never":
        return null;
      default:
        return unreachable(reconnect);
    }
  }

  #healthy(): boolean {
    return this.#options.mayAct() && this.#options.confirmedSince(this.#confirmAfterMs);
  }

  /** The attempt has come to something: the line of logins may move on. */
  #arrived(): void {
    if (this.#watchdog !== null) clearTimeout(this.#watchdog);
    this.#watchdog = null;
    this.#leaveWave?.();
    this.#leaveWave = null;
  }
}

function sessionFact(state: "connecting" | "open"): Fact {
  return { kind: "session", state, reason: null, code: null, byWhatsApp: false, retryAtMs: null };
}
