/**
 * One socket to WhatsApp through Baileys: options, listeners, the sends. Facts come from the raw stanzas, texts
 * from the fenced decryption; Baileys' own message events are not used. Never reconnects and never decides what a
 * close means.
 */
import {
  Browsers,
  isLidUser,
  jidDecode,
  jidNormalizedUser,
  makeWASocket,
  proto,
} from "@whiskeysockets/baileys";
import type {
  AuthenticationCreds,
  BinaryNode,
  ConnectionState,
  ReachoutTimelockState,
  UserFacingSocketConfig,
  WASocket,
  WAVersion,
} from "@whiskeysockets/baileys";
import { HostError } from "../log.ts";
import { StoreFailed } from "../store.ts";
import type {
  Closed,
  ConnectOptions,
  NumberCheck,
  OutgoingText,
  SendOutcome,
  WhatsAppConnection,
} from "../whatsapp.ts";
import { describeInbound, isIgnoredChat } from "./inbound.ts";
import type { OwnAddresses, StanzaAttributes } from "./inbound.ts";
import { signalKeyStore, stageCreds } from "./key-codec.ts";
import type { BaileysMemory } from "./memory.ts";
import { quietLogger } from "./quiet-logger.ts";
import { RETRIES_MAX, RetryGuard } from "./retry-guard.ts";
import { SendCommits } from "./send-commits.ts";
import { commitOfSend, newSendScope, SendRefused, sendScope } from "./send-scope.ts";
import type { SendScope } from "./send-scope.ts";
import { fencedRepository } from "./signal-fence.ts";
import { StanzaQueue } from "./stanza-queue.ts";
import { StanzaReporter } from "./stanzas.ts";
import { keepTokensOut } from "./trusted-tokens.ts";
import { WireGate } from "./wire-gate.ts";

const CONNECT_TIMEOUT_MS = 20_000;
const QUERY_TIMEOUT_MS = 20_000;
/** Baileys counts each retry twice, and the guard before it lets five through. */
const RETRY_COUNTS_MAX = 2 * RETRIES_MAX + 1;
/** Far more than WhatsApp sends at once. */
const MESSAGES_WAITING_MAX = 20_000;

export interface SocketSettings {
  url: URL | null;
  version: WAVersion;
  qrLifeMs: number | null;
}

export class BaileysConnection implements WhatsAppConnection {
  readonly #options: ConnectOptions;
  readonly #creds: AuthenticationCreds;
  readonly #socket: WASocket;
  readonly #reporter: StanzaReporter;
  readonly #guard: RetryGuard;
  readonly #stanzas = new WeakMap<Uint8Array, StanzaAttributes>();
  readonly #over = Promise.withResolvers<never>();
  #paired: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(
    options: ConnectOptions,
    memory: BaileysMemory,
    creds: AuthenticationCreds,
    settings: SocketSettings,
  ) {
    this.#options = options;
    this.#creds = creds;
    // Waited for by sends only; without one nobody need hear of the end.
    this.#over.promise.catch(() => undefined);
    const own = (): OwnAddresses => this.#own();
    const phoneOfLid = (lid: string): Promise<string | null> => this.#phoneOfLid(lid);
    this.#reporter = new StanzaReporter({
      own,
      phoneOfLid,
      report: (fact) => options.handlers.onFact(fact),
    });
    this.#guard = new RetryGuard(
      { own, phoneOfLid, sentText: (...question) => options.sentText(...question) },
      memory.retryCounts,
    );
    this.#socket = makeWASocket(this.#socketConfig(memory, settings));
    keepTokensOut(this.#socket.authState.keys, options.store);
    const commits = new SendCommits(options.store);
    new WireGate({
      barrier: () => commitOfSend(commits),
      mayAct: () => this.#mayAct(),
      forbid: () => options.onForbidden(),
    }).guard(this.#socket.ws);
    this.#listen();
  }

  async send(text: OutgoingText): Promise<SendOutcome> {
    const scope = newSendScope(text.tag, () => text.verdict());
    try {
      const written = sendScope.run(scope, async () => {
        await this.#socket.sendMessage(
          text.to,
          { text: text.text, linkPreview: null },
          { messageId: text.waId },
        );
        await scope.durable;
      });
      // The fence keeps a send waiting for ever once the session has ended.
      await Promise.race([written, this.#over.promise]);
      if (scope.durable === null) return { kind: "not_sent", reason: "encryption_failed" };
      return { kind: "written" };
    } catch (error) {
      // A refusal of the commit is known one turn after the end that it caused.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      return this.#failedSend(scope, error);
    }
  }

  async checkNumber(phone: string): Promise<NumberCheck> {
    const found = await this.#socket.onWhatsApp(phone);
    if (found === undefined) return { kind: "unknown" };
    const first = found[0];
    if (first === undefined || !first.exists) return { kind: "not_registered" };
    return { kind: "registered", jid: jidNormalizedUser(first.jid) };
  }

  async typing(jid: string, on: boolean): Promise<void> {
    await this.#socket.sendPresenceUpdate(on ? "composing" : "paused", jid);
  }

  requestPairingCode(phone: string): Promise<string> {
    return this.#socket.requestPairingCode(phone);
  }

  askRestriction(): void {
    // The answer is an update of the connection; a question that failed is asked again another time.
    this.#socket.fetchAccountReachoutTimelock().catch(ignoreUnanswered);
  }

  unlink(): Promise<void> {
    return this.#socket.logout();
  }

  end(): void {
    if (this.#ended) return;
    this.#end();
    void this.#socket.end(undefined);
  }

  #socketConfig(memory: BaileysMemory, settings: SocketSettings): UserFacingSocketConfig {
    const { store } = this.#options;
    return {
      auth: { creds: this.#creds, keys: signalKeyStore(store, () => this.#mayUseKeys()) },
      logger: quietLogger,
      version: settings.version,
      browser: Browsers.ubuntu("Chrome"),
      ...(settings.url === null ? {} : { waWebSocketUrl: settings.url.href }),
      ...(settings.qrLifeMs === null ? {} : { qrTimeout: settings.qrLifeMs }),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      defaultQueryTimeoutMs: QUERY_TIMEOUT_MS,
      emitOwnEvents: false,
      syncFullHistory: false,
      markOnlineOnConnect: false,
      generateHighQualityLinkPreview: false,
      // Only what comes inside the stanza: address mappings without fetching anything from anywhere.
      shouldSyncHistoryMessage: (history) =>
        history.syncType === proto.HistorySync.HistorySyncType.INITIAL_BOOTSTRAP &&
        (history.initialHistBootstrapInlinePayload?.length ?? 0) > 0,
      shouldIgnoreJid: (jid) => isIgnoredChat(jid),
      maxMsgRetryCount: RETRY_COUNTS_MAX,
      // A refused commit has ended the session: trying again cannot help.
      transactionOpts: { maxCommitRetries: 1, delayBetweenTriesMs: 1 },
      msgRetryCounterCache: memory.messageRetries,
      userDevicesCache: memory.userDevices,
      placeholderResendCache: memory.placeholders,
      callOfferCache: memory.callOffers,
      getMessage: async ({ remoteJid, id }) => {
        if (!remoteJid || !id) return undefined;
        const text = await this.#guard.text(id, remoteJid);
        return text === null ? undefined : { extendedTextMessage: { text } };
      },
      makeSignalRepository: fencedRepository({
        store,
        mayAct: () => this.#mayAct(),
        forbid: () => this.#options.onForbidden(),
        describe: (ciphertext, plaintext) => {
          const attributes = this.#stanzas.get(ciphertext);
          return attributes === undefined
            ? []
            : describeInbound(attributes, plaintext, this.#own());
        },
      }),
    };
  }

  #mayAct(): boolean {
    return !this.#ended && this.#options.mayAct();
  }

  /** Settles only for who may act; for anyone else the socket is ended and the question stays open. */
  async #mayUseKeys(): Promise<void> {
    if (this.#mayAct()) return;
    this.#options.onForbidden();
    await new Promise(() => undefined);
  }

  #listen(): void {
    const { ws, ev } = this.#socket;
    this.#queueMessages();
    ws.prependListener("CB:ack,class:message", (node: BinaryNode) => this.#reporter.onAck(node));
    this.#guardReceipts();
    ev.on("creds.update", () => this.#saveCreds());
    ev.on("connection.update", (update) => this.#onUpdate(update));
  }

  /** Texts are handled in the order in which WhatsApp sends them, backlog and live ones alike. */
  #queueMessages(): void {
    const { ws } = this.#socket;
    const handlers = ws.listeners("CB:message");
    ws.removeAllListeners("CB:message");
    const queue = new StanzaQueue<BinaryNode>({
      handle: async (node) => {
        await Promise.all(handlers.map(async (handler): Promise<unknown> => handler(node)));
      },
      isOver: () => this.#ended,
      onOverflow: () => void this.#socket.end(new HostError("too many messages wait")),
      waitingMax: MESSAGES_WAITING_MAX,
    });
    ws.on("CB:message", (node: BinaryNode) => {
      this.#rememberStanza(node);
      // Marked as backlog it would go through a queue of Baileys' own.
      const { offline: _, ...attrs } = node.attrs;
      queue.add({ ...node, attrs });
    });
  }

  /** Puts the guard between the wire and Baileys' own handling of receipts. */
  #guardReceipts(): void {
    const { ws } = this.#socket;
    const handlers = ws.listeners("CB:receipt");
    ws.removeAllListeners("CB:receipt");
    ws.on("CB:receipt", (node: BinaryNode) => {
      if (this.#ended) return;
      this.#reporter.onReceipt(node);
      const answer = (): void => {
        for (const handler of handlers) handler(node);
      };
      if (node.attrs["type"] === "retry") void this.#guardRetry(node, answer);
      else answer();
    });
  }

  async #guardRetry(node: BinaryNode, answer: () => void): Promise<void> {
    const allowed = await this.#guard.allows(node).catch(leaveOpen);
    // Not acknowledged, the question comes again on the next connection.
    if (this.#ended || allowed === null) return;
    if (allowed) answer();
    else await this.#socket.sendMessageAck(node).catch(ignoreClosedSocket);
  }

  #rememberStanza(node: BinaryNode): void {
    if (!Array.isArray(node.content)) return;
    for (const child of node.content) {
      if (child.tag === "enc" && child.content instanceof Uint8Array) {
        this.#stanzas.set(child.content, node.attrs);
      }
    }
  }

  #saveCreds(): void {
    // Before the phone has scanned there is nothing worth keeping, and nothing of it may be kept.
    if (this.#ended || this.#creds.account === undefined) return;
    stageCreds(this.#options.store, this.#creds);
    this.#options.store.commit().catch(ignoreFailedStore);
  }

  #onUpdate(update: Partial<ConnectionState>): void {
    const { handlers } = this.#options;
    if (this.#ended) return;
    if (update.qr !== undefined) handlers.onQr(update.qr);
    if (update.isNewLogin) this.#paired = this.#onPaired();
    if (update.connection === "open") handlers.onOpen();
    if (update.receivedPendingNotifications) this.#reporter.report({ kind: "drained" });
    if (update.reachoutTimeLock !== undefined) this.#onRestriction(update.reachoutTimeLock);
    if (update.connection === "close") {
      this.#end();
      const closed = describeClose(update.lastDisconnect?.error);
      // After a scan the server hangs up at once; the pairing is reported before the close.
      void this.#paired.then(() => handlers.onClosed(closed));
    }
  }

  #onRestriction({ isActive, timeEnforcementEnds }: ReachoutTimelockState): void {
    if (!isActive) this.#reporter.report({ kind: "unrestricted" });
    else this.#reporter.report({ kind: "restricted", untilMs: timeOf(timeEnforcementEnds) });
  }

  #end(): void {
    this.#ended = true;
    this.#over.reject(new HostError("connection ended"));
  }

  async #onPaired(): Promise<void> {
    stageCreds(this.#options.store, this.#creds);
    await this.#options.store.commit().catch(ignoreFailedStore);
    const phone = jidDecode(this.#creds.me?.id)?.user;
    if (this.#options.store.failure !== null || phone === undefined) return;
    this.#options.handlers.onPaired({
      phone,
      lid: this.#creds.me?.lid === undefined ? null : jidNormalizedUser(this.#creds.me.lid),
      platform: this.#creds.platform ?? null,
    });
  }

  #failedSend(scope: SendScope, error: unknown): SendOutcome {
    if (scope.commit === "refused") return { kind: "not_sent", reason: "commit_refused" };
    if (scope.commit === "sent") return { kind: "unproven" };
    // Whatever of this message is still on its way inside Baileys finds this and stops.
    scope.decided =
      scope.decided === null || scope.decided === "go" ? "session_ended" : scope.decided;
    if (error instanceof SendRefused || scope.decided !== "session_ended") {
      return { kind: "not_sent", reason: scope.decided };
    }
    return { kind: "not_sent", reason: this.#ended ? "not_connected" : "encryption_failed" };
  }

  #own(): OwnAddresses {
    return { phone: this.#creds.me?.id, lid: this.#creds.me?.lid };
  }

  async #phoneOfLid(lid: string): Promise<string | null> {
    if (!isLidUser(lid)) return null;
    const found = await this.#socket.signalRepository.lidMapping.getPNForLID(lid);
    return found === null ? null : jidNormalizedUser(found);
  }
}

/** Baileys' errors carry the code in `output` and, for stream errors, the stanza in `data`. */
function describeClose(error: unknown): Closed {
  const shape = error as
    | { output?: { statusCode?: unknown }; data?: { attrs?: { type?: unknown }; type?: unknown } }
    | undefined;
  const code = shape?.output?.statusCode;
  const type = shape?.data?.attrs?.type ?? shape?.data?.type;
  return { code: typeof code === "number" ? code : null, deviceRemoved: type === "device_removed" };
}

/** The device could not be asked, and a retry receipt is never answered unasked. */
function leaveOpen(): null {
  return null;
}

/** Null: not named, or no time at all. */
function timeOf(end: Date | undefined): number | null {
  const ms = end?.getTime() ?? Number.NaN;
  return Number.isSafeInteger(ms) && ms >= 0 ? ms : null;
}

function ignoreUnanswered(): void {
  // Nothing was learnt, so nothing is told.
}

function ignoreClosedSocket(): void {
  // The receipt comes again on the next connection.
}

function ignoreFailedStore(error: unknown): void {
  if (!(error instanceof StoreFailed)) throw error;
}
