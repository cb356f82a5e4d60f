/**
 * One local start from the first process to the last line: in which order things are begun, and what is said when.
 * Every line is printed after the thing it says was read back. Ends by throwing a StartFailure, or runs until stopped.
 */
import { systemClock } from "../../src/domain/clock.ts";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { chooseAddresses, urlOf } from "./addresses.ts";
import type { Addresses } from "./addresses.ts";
import type { Places } from "./closing-lines.ts";
import { ensureEndpoint } from "./demo-endpoint.ts";
import { deliveryLine } from "./delivery-line.ts";
import { demand, ensureDemo, ensureHost, DEMO_MONEY_RUPIAH } from "./demo.ts";
import type { Demo } from "./demo.ts";
import { LocalParts } from "./local-parts.ts";
import type { StartOptions } from "./options.ts";
import { hostSpec, simulatorSpec, workerSpec } from "./parts.ts";
import { Product } from "./product.ts";
import { workerVars } from "./secrets.ts";
import { Receiver } from "./receiver.ts";
import { refuseSecondStart } from "./second-start.ts";
import { CONTACTS, DEMO_PHONE, SimulatedPhones } from "./simulated-phone.ts";
import { StartFailure } from "./start-failure.ts";
import { StateFolder } from "./state-folder.ts";
import type { StoredState } from "./state-folder.ts";
import { rupiah } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";
import { waitUntil } from "./wait-until.ts";

const PART_TIMEOUT_MS = 60_000;
/** Ends and statuses reach the books this soon: a person is watching. */
const FLUSH_DELAY_MS = 500;

export class LocalStart {
  readonly options: StartOptions;
  readonly terminal: Terminal;
  readonly state: StateFolder;
  readonly addresses: Addresses;
  readonly stored: StoredState;
  readonly product: Product;
  readonly phones: SimulatedPhones | null;
  readonly #parts: LocalParts;
  #receiver: Receiver | null = null;
  #phone: string | null = null;
  #demo: Demo | null = null;

  private constructor(
    options: StartOptions,
    terminal: Terminal,
    state: StateFolder,
    addresses: Addresses,
  ) {
    this.options = options;
    this.terminal = terminal;
    this.state = state;
    this.addresses = addresses;
    this.stored = state.load();
    this.product = new Product(urlOf(addresses.socket), this.stored.operatorToken);
    this.phones =
      addresses.simulator === null ? null : new SimulatedPhones(urlOf(addresses.simulator));
    this.#parts = new LocalParts({
      logPath: (name) => state.file(`logs/${name}.log`),
      onNotice: (sentence) => terminal.notice(sentence),
      onPidChange: () => this.#saveDevFile(),
      clock: systemClock,
      random: systemRandomBytes,
    });
  }

  /** Claims the state folder and the ports; nothing runs yet. */
  static async prepare(options: StartOptions, terminal: Terminal): Promise<LocalStart> {
    const state = new StateFolder(options.statePath, systemRandomBytes);
    state.create();
    await refuseSecondStart(state);
    return new LocalStart(options, terminal, state, await chooseAddresses(options));
  }

  get url(): string {
    return urlOf(this.addresses.front ?? this.addresses.socket);
  }

  get simulatorUrl(): string | null {
    return this.addresses.simulator === null ? null : urlOf(this.addresses.simulator);
  }

  get places(): Places {
    return { url: this.url, simulatorUrl: this.simulatorUrl, statePath: this.state.path };
  }

  /** Rejects when a part is given up. */
  get givenUp(): Promise<never> {
    return this.#parts.givenUp;
  }

  /** Simulator, Worker and session host, each until it answers; then what the demo needs. */
  async run(): Promise<Demo> {
    this.#startSimulator();
    this.#startWorker();
    await this.#simulatorUp();
    const migrations = await this.#parts.workerReady;
    const applied = migrations === 0 ? "up to date" : `migrated (${migrations} new)`;
    this.terminal.fact("Worker", `${this.url}   built, database ${applied}`);
    await this.#startHost();
    const demo = await ensureDemo(this.product, this.state, this.stored);
    this.#demo = demo;
    const receiver = await this.#startReceiver();
    await ensureEndpoint(this.product, this.state, this.stored, demo, receiver);
    const balances = demand(await this.product.balances(demo.accountId), "read the balances");
    const made = demo.isNew ? `new, with ${rupiah(DEMO_MONEY_RUPIAH)}` : `as it was`;
    this.terminal.fact(
      "demo account",
      `${made}: ${rupiah(balances.available)} available, Paket A, device ${demo.waid}`,
    );
    this.terminal.fact(
      "receiver",
      `${receiver.url}   the demo account's webhook, signatures checked`,
    );
    this.#saveDevFile();
    return demo;
  }

  /** Where webhooks arrive, once the demo is there. */
  get receiver(): Receiver {
    if (this.#receiver === null) throw new StartFailure("The webhook receiver is not up.");
    return this.#receiver;
  }

  /** Outside the story of a text, a delivery is a line of its own. */
  tellDeliveries(): void {
    this.receiver.heard = (delivery) =>
      this.terminal.fact("webhook", deliveryLine(delivery, this.receiver.url));
  }

  setPhone(phone: string): void {
    this.#phone = phone;
    this.#saveDevFile();
  }

  async stop(): Promise<void> {
    await this.#parts.stop();
    await this.#receiver?.stop();
  }

  async #startReceiver(): Promise<Receiver> {
    this.#receiver = await Receiver.start();
    this.tellDeliveries();
    return this.#receiver;
  }

  #startSimulator(): void {
    const { simulator } = this.addresses;
    if (simulator === null) return;
    this.#parts.start(
      simulatorSpec(simulator.host, simulator.port, this.state.file("simulator.json")),
    );
  }

  async #simulatorUp(): Promise<void> {
    const { phones } = this;
    if (phones === null) return;
    await this.#answering("simulator", async () => ((await phones.isUp()) ? true : null));
    for (const { number, name } of [DEMO_PHONE, ...CONTACTS]) await phones.name(number, name);
    await phones.letAnswer(CONTACTS[0].number, "Thank you, it is here.");
    this.terminal.fact(
      "simulator",
      `${this.simulatorUrl}   a WhatsApp of our own, with phones to look at`,
    );
  }

  #startWorker(): void {
    this.#parts.start(
      workerSpec({
        configPath: "wrangler.toml",
        entry: null,
        storePath: this.state.file("edge"),
        socket: this.addresses.socket,
        front: this.addresses.front,
        vars: workerVars(this.stored, {
          pacing: this.options.pacing,
          flushDelayMs: FLUSH_DELAY_MS,
        }),
        cron: true,
      }),
    );
  }

  async #startHost(): Promise<void> {
    const token = await ensureHost(this.product, this.state, this.stored);
    this.#parts.start(
      hostSpec({
        gatewayUrl: urlOf(this.addresses.socket),
        token,
        sealKey: this.stored.sealKey,
        whatsAppUrl: this.#whatsAppUrl(),
      }),
    );
    await this.#answering("session host", async () => {
      const answer = await this.product.hosts();
      return answer.ok && answer.value.hosts.some((host) => host.connected) ? true : null;
    });
    this.terminal.fact("session host", `connected to the Worker, pid ${this.#parts.pid("host")}`);
  }

  #whatsAppUrl(): string | null {
    const { whatsApp } = this.options;
    if (whatsApp.kind === "other") return whatsApp.url;
    return this.addresses.simulator === null
      ? null
      : `${urlOf(this.addresses.simulator, "ws")}/ws/chat`;
  }

  async #answering(title: string, attempt: () => Promise<true | null>): Promise<void> {
    const sentence = `The ${title} did not come up within ${PART_TIMEOUT_MS / 1000} s; see ${this.state.file("logs")}.`;
    await waitUntil(systemClock, PART_TIMEOUT_MS, sentence, attempt);
  }

  #saveDevFile(): void {
    if (this.#demo === null) return;
    this.state.saveDevFile({
      url: this.url,
      apiKey: this.#demo.apiKey,
      waid: this.#demo.waid,
      phone: this.#phone,
      contacts: this.phones === null ? [] : CONTACTS.map((contact) => contact.number),
      simulatorUrl: this.simulatorUrl,
      receiverUrl: this.#receiver?.url ?? null,
      accountId: this.#demo.accountId,
      operatorToken: this.stored.operatorToken,
      processes: {
        supervisor: process.pid,
        worker: this.#parts.pid("worker") ?? 0,
        host: this.#parts.pid("host") ?? 0,
        simulator: this.#parts.pid("simulator"),
      },
    });
  }
}
