/**
 * One device on this host: its bridge, its store, its link to WhatsApp, and who may act when. Whatever ends the
 * right to act ends the WhatsApp socket first. Everything that happened becomes a fact on the bridge; commands
 * come from there and from nowhere else.
 */
import { fact as factShape } from "../src/bridge/device-frames.ts";
import type { Command, Fact } from "../src/bridge/device-frames.ts";
import type { HostAlertKind } from "../src/bridge/host-alerts.ts";
import { knowsRestrictions } from "../src/bridge/versions.ts";
import { jid, LEASE_MS, whatsAppId } from "../src/bridge/wire.ts";
import { unreachable } from "../src/domain/result.ts";
import { DeviceBridge } from "./bridge-client.ts";
import type { BridgeEnd, Revocation, Welcome } from "./bridge-client.ts";
import { pause } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { HostError } from "./log.ts";
import type { Log } from "./log.ts";
import type { LoginWaves } from "./login-waves.ts";
import type { HostMetrics } from "./metrics.ts";
import type { ReconnectOptions } from "./reconnect.ts";
import { DeviceSealer } from "./sealing.ts";
import type { SealKey } from "./sealing.ts";
import { Sender } from "./send.ts";
import { KeyStore } from "./store.ts";
import type { KeyLink, StoreFailure, StoreWarning } from "./store.ts";
import { WhatsAppLink } from "./whatsapp-link.ts";
import type { LinkState } from "./whatsapp-link.ts";
import type { WhatsApp } from "./whatsapp.ts";

/** About what one device needs in a day of writing to its contacts. */
const CACHED_ROWS_MAX = 400;
const STOP_WAIT_MS = 1_000;

export interface SessionOptions {
  deviceId: string;
  url: URL;
  hostToken: string;
  hostId: string;
  bootId: string;
  ticket: string;
  sealKeys: SealKey[];
  clock: Clock;
  random: () => number;
  log: Log;
  metrics: HostMetrics;
  whatsApp: WhatsApp;
  waves: LoginWaves;
  /** Beside the log line: somebody must look at this. */
  raiseAlert: (kind: HostAlertKind) => void;
  reconnect: ReconnectOptions;
  connectWatchdogMs?: number;
  commitTimeoutMs?: number;
  controlLeaseHolds(): boolean;
  /** WhatsApp refuses the version of the client that this host runs. */
  onClientRefused(): void;
  onEpoch(epoch: number): void;
  onEnd(end: BridgeEnd): void;
}

export class DeviceSession {
  readonly #options: SessionOptions;
  readonly #bridge: DeviceBridge;
  readonly #sender: Sender;
  readonly #over = new AbortController();
  #store: KeyStore | null = null;
  #link: WhatsAppLink | null = null;
  #epochOver = false;
  readonly #warnings = new Map<string, number>();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#sender = new Sender({
      clock: options.clock,
      log: options.log,
      connection: () => this.#link?.openConnection ?? null,
      mayAct: () => this.#mayAct(),
      ownPhone: () => this.#link?.phone ?? null,
      onResult: ({ messageId, attempt }, outcome) => {
        const label = outcome.kind === "not_sent" ? outcome.reason : outcome.kind;
        options.metrics.sends.inc({ outcome: label });
        if (outcome.kind === "written") return;
        this.#report({ kind: "send_result", messageId, attempt, outcome });
      },
    });
    this.#bridge = new DeviceBridge({
      ...options,
      sealKeyId: options.sealKeys[0]?.id ?? "",
      onWelcome: (welcome) => void this.#onWelcome(welcome),
      onCommand: (command) => void this.#onCommand(command),
      onRevoked: (reason) => this.#onRevoked(reason),
      onEnd: (end) => this.#onBridgeEnd(end),
    });
  }

  get state(): LinkState {
    return this.#link?.state ?? "waiting";
  }

  get epoch(): number {
    return this.#bridge.epoch ?? 0;
  }

  /** On the host's beat, several times a second. */
  watch(): void {
    if (this.#over.signal.aborted) return;
    this.#bridge.watch();
    const link = this.#link;
    if (link === null) return;
    if (!link.connected) link.watch();
    else if (!this.#mayAct()) link.close({ by: "lease" });
    else if (this.#bridge.lostForMs() > LEASE_MS) link.close({ by: "bridge" });
  }

  /** Ends in order: no new work, sends done, socket closed, keys acknowledged, goodbye. Bounded in time. */
  async stop(): Promise<void> {
    if (this.#over.signal.aborted) return;
    await Promise.race([this.#sender.stop(), pause(STOP_WAIT_MS)]);
    this.#link?.close({ by: "stop" });
    await Promise.race([this.#bridge.settled(), pause(STOP_WAIT_MS)]);
    this.#store?.fail("closed");
    await this.#bridge.goodbye();
  }

  #mayAct(): boolean {
    if (this.#epochOver || this.#over.signal.aborted) return false;
    return this.#options.controlLeaseHolds() || this.#bridge.leaseHolds();
  }

  async #onWelcome(welcome: Welcome): Promise<void> {
    const { deviceId, sealKeys, clock, whatsApp } = this.#options;
    this.#options.onEpoch(welcome.epoch);
    const store = new KeyStore({
      link: this.#timedLink(),
      sealer: new DeviceSealer(sealKeys, deviceId, welcome.generation),
      clock,
      onFailure: (why) => this.#onStoreFailure(why),
      onRollback: () => this.#alert("store_rolled_back"),
      onWarning: (warning) => this.#warn(warning),
      cachedRowsMax: CACHED_ROWS_MAX,
    });
    this.#store = store;
    this.#link = this.#newLink(store, welcome.attemptsAgoMs ?? []);
    if (!store.open(welcome.rows) || welcome.pairing === "unpaired") return;
    // A failure has already been reported by the store.
    const credentials = await whatsApp.loadCredentials(store).catch(() => null);
    if (store.failure !== null) return;
    if (credentials === null) store.fail("creds_absent");
    else this.#link.start(credentials);
  }

  #newLink(store: KeyStore, attemptsAgoMs: readonly number[]): WhatsAppLink {
    return new WhatsAppLink(
      {
        ...this.#options,
        over: this.#over.signal,
        mayAct: () => this.#mayAct(),
        confirmedSince: (sinceMs) => this.#bridge.confirmedSince(sinceMs),
        sentText: async (waId, chat, chatPhone) => {
          // What the bridge cannot carry was never ours to send.
          if (!whatsAppId.safeParse(waId).success || !jid.safeParse(chat).success) return null;
          const answer = await this.#bridge.message(waId, chat, chatPhone);
          // No answer is not a no: the question must stay with WhatsApp.
          if (!answer.ok) throw new HostError("the device did not say what was sent");
          return answer.value;
        },
        report: (fact) => this.#report(fact),
      },
      store,
      attemptsAgoMs,
    );
  }

  async #onCommand(command: Command): Promise<void> {
    switch (command.kind) {
      case "send":
        this.#sender.add(command);
        return;
      case "pair":
        this.#link?.pair(command.phone);
        return;
      case "ask_restriction":
        this.#link?.openConnection?.askRestriction();
        return;
      case "unlink":
        await this.#unlink();
        return;
      case "stop":
        await this.stop();
        return;
      default:
        unreachable(command);
    }
  }

  async #unlink(): Promise<void> {
    const connection = this.#link?.openConnection ?? null;
    if (connection === null) {
      await this.stop();
      return;
    }
    // The close that follows is reported as logged_out.
    await connection.unlink().catch(() => this.#link?.close({ by: "stop" }));
  }

  #onStoreFailure(why: StoreFailure): void {
    // The commit that was refused may be the news that this epoch is over.
    if (why === "commit_refused" || why === "commit_unanswered") this.#epochOver = true;
    if (why === "closed") {
      this.#link?.abandon({ by: "stop" }, false);
      return;
    }
    // What a person must look at stays, and is not retried; what a new epoch can repair is given back.
    const needsPerson = why === "unsealable" || why === "creds_absent";
    this.#link?.abandon({ by: needsPerson ? "store" : "bridge" }, true);
    this.#alert(why);
    if (!needsPerson) void this.#giveBack();
  }

  async #giveBack(): Promise<void> {
    // The sends that were cut off still report.
    await Promise.race([this.#sender.stop(), pause(STOP_WAIT_MS)]);
    await this.#bridge.goodbye();
  }

  #onRevoked(reason: Revocation): void {
    this.#options.log.info({ reason }, "epoch over");
    this.#epochOver = true;
    this.#store?.fail("closed");
    void this.#giveBack();
  }

  #onBridgeEnd(end: BridgeEnd): void {
    this.#link?.close({ by: end === "done" ? "stop" : "bridge" });
    this.#over.abort();
    this.#store?.fail("closed");
    void this.#sender.stop();
    this.#options.log.info({ end }, "device session over");
    this.#options.onEnd(end);
  }

  #timedLink(): KeyLink {
    const { metrics } = this.#options;
    return {
      read: (keys) => this.#bridge.read(keys),
      commit: async (commit) => {
        const stop = metrics.commitSeconds.startTimer();
        const outcome = await this.#bridge.commit(commit);
        stop();
        if (outcome.ok) metrics.inbound.inc(commit.inbound.length);
        return outcome;
      },
    };
  }

  /** A fact that the device could not read would only be noise there. */
  #report(fact: Fact): void {
    // An edge of the first version knows restrictions, but not their end: there it comes by time.
    if (fact.kind === "unrestricted" && !knowsRestrictions(this.#bridge.protocol)) return;
    if (factShape.safeParse(fact).success) this.#bridge.report(fact);
    else this.#warn("fact_unreadable");
  }

  /** Counted each time, told at the first and then ever more rarely: a contact decides how often. */
  #warn(kind: StoreWarning | "fact_unreadable"): void {
    const count = (this.#warnings.get(kind) ?? 0) + 1;
    this.#warnings.set(kind, count);
    this.#options.metrics.alerts.inc({ kind });
    if (Number.isInteger(Math.log2(count))) {
      this.#options.log.warn({ kind, count }, "left out what a contact made unreadable");
    }
  }

  #alert(kind: HostAlertKind): void {
    this.#options.metrics.alerts.inc({ kind });
    this.#options.raiseAlert(kind);
    this.#options.log.error({ kind }, "session store alert");
  }
}
