/**
 * Kabar as it runs in production, on free ports of this machine and in a fresh folder: the built Worker in workerd,
 * a simulated WhatsApp, and any number of session hosts, each a process of its own.
 *
 *   await using stack = await startStack({ hosts: 2 });
 *   const customer = await stack.customer({ phone: "6281234567001" });   // account, key, paired device
 *   const sent = await stack.product.send(customer.apiKey, customer.waid, "6281310001001", "A text to read");
 *   await stack.hosts[0].kill();
 *   stack.output()                                                       // what all processes wrote
 *
 * It judges nothing; what arrived is read from the simulator's phones (`stack.simulator.url`, its README).
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { z } from "zod";
import { demand } from "../../../session-host/local/demo.ts";
import { edgeReport } from "../../../session-host/local/edge-settings.ts";
import { callJson } from "../../../session-host/local/http-call.ts";
import type { Call } from "../../../session-host/local/http-call.ts";
import { connectSimulatedPhone } from "../../../session-host/local/pairing.ts";
import { hostSpec, simulatorSpec, workerSpec } from "../../../session-host/local/parts.ts";
import { Product } from "../../../session-host/local/product.ts";
import { SimulatedPhones } from "../../../session-host/local/simulated-phone.ts";
import { drawSecrets, workerVars } from "../../../session-host/local/secrets.ts";
import type { Secrets } from "../../../session-host/local/secrets.ts";
import { waitUntil } from "../../../session-host/local/wait-until.ts";
import { systemClock } from "../../../src/domain/clock.ts";
import { systemRandomBytes } from "../../../src/domain/id.ts";
import { freePort } from "./free-port.ts";
import { takePrepared } from "./prepared-source.ts";
import { processesOf } from "./process-state.ts";
import type { StackOptions } from "./stack-options.ts";
import { StackProcess } from "./stack-process.ts";

/** Longer than the 75 s that a phone waits which has used up its ten logins. */
const UP_TIMEOUT_MS = 90_000;
const LOOPBACK = "127.0.0.1";

export interface Customer {
  accountId: number;
  apiKey: string;
  waid: string;
  phone: string;
}

export interface NewCustomer {
  /** Number of the simulated phone that scans; null leaves the device unpaired. */
  phone: string | null;
  rupiah?: number;
  plan?: "A" | "B" | "C";
}

export class Stack {
  readonly url: string;
  readonly product: Product;
  readonly operatorToken: string;
  readonly worker: StackProcess;
  readonly simulator: { process: StackProcess; url: string } | null;
  readonly phones: SimulatedPhones | null;
  readonly hosts: StackProcess[] = [];
  /** Their ids at the fleet, in the same order. */
  readonly hostIds: string[] = [];
  readonly #folder: string;
  readonly #secrets: Secrets;
  readonly #options: StackOptions;
  readonly #hostTokens: string[] = [];
  #workerReady = Promise.withResolvers<void>();
  #names = 0;

  constructor(folder: string, port: number, simulatorPort: number, options: StackOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#secrets = drawSecrets(systemRandomBytes);
    this.operatorToken = this.#secrets.operatorToken;
    this.url = `http://${LOOPBACK}:${port}`;
    this.product = new Product(this.url, this.operatorToken);
    const { configPath = "wrangler.toml", entry = null } = options;
    this.worker = new StackProcess(
      workerSpec({
        configPath,
        entry,
        sourcePath: takePrepared(configPath, entry, this.storePath),
        storePath: this.storePath,
        socket: { host: LOOPBACK, port },
        front: null,
        vars: {
          ...workerVars(this.#secrets, { pacing: "off", flushDelayMs: 100 }),
          ...options.vars,
        },
        cron: options.cron ?? false,
        restarts: options.restarts ?? false,
      }),
      (message) => this.#heard(message),
    );
    this.simulator =
      options.whatsAppUrl === undefined ? this.#launchSimulator(simulatorPort) : null;
    this.phones = this.simulator === null ? null : new SimulatedPhones(this.simulator.url);
  }

  /** After `launchAgain` of the Worker as well. */
  async workerUp(): Promise<void> {
    await this.#workerReady.promise;
  }

  async simulatorUp(): Promise<void> {
    const { phones } = this;
    if (phones === null) return;
    await this.until("the simulator to answer", async () => ((await phones.isUp()) ? true : null));
  }

  /** Kills the Worker with -9 and waits until it serves again from the same store, as `meanwhile` left it. */
  async crashWorker(meanwhile: () => void = () => undefined): Promise<void> {
    await this.worker.kill();
    meanwhile();
    this.#workerReady = Promise.withResolvers<void>();
    this.worker.launchAgain();
    await this.workerUp();
  }

  /** Kills workerd alone with -9, in a stack that restarts it, and waits until it serves again from the same store. */
  async crashWorkerd(): Promise<void> {
    this.#workerReady = Promise.withResolvers<void>();
    for (const pid of processesOf(this.worker.pid, "workerd")) process.kill(pid, "SIGKILL");
    await this.workerUp();
  }

  /** Puts a new bundle in the Worker's place, on the same store, as a deploy does. */
  async redeployWorker(): Promise<void> {
    this.#workerReady = Promise.withResolvers<void>();
    this.worker.tell({ t: "redeploy" });
    await this.workerUp();
  }

  /** Approves and starts one more host; ends when the fleet has it. `env` goes over the stack's own. */
  async addHost(env: Record<string, string> = {}): Promise<StackProcess> {
    this.#names += 1;
    const approved = demand(
      await this.product.approveHost(`host-${this.#names}`, 200),
      "approve a host",
    );
    this.#hostTokens.push(approved.token);
    const process = new StackProcess(
      hostSpec(
        {
          gatewayUrl: this.url,
          token: approved.token,
          sealKey: this.#secrets.sealKey,
          whatsAppUrl: this.whatsAppUrl,
        },
        { ...this.#options.hostEnv, ...env },
      ),
    );
    this.hosts.push(process);
    this.hostIds.push(approved.id);
    await this.until("a host to connect", async () => {
      const answer = await this.product.hosts();
      const mine = answer.ok && answer.value.hosts.find((host) => host.id === approved.id);
      return mine !== false && mine?.connected === true ? true : null;
    });
    return process;
  }

  /** The folder of D1 and the objects. */
  get storePath(): string {
    return join(this.#folder, "edge");
  }

  /** Seals texts in the store. */
  get bodyKey(): string {
    return this.#secrets.bodyKey;
  }

  /** What no process may write anywhere. */
  get secrets(): string[] {
    const { bodyKey, fingerprintKey, operatorToken, sealKey } = this.#secrets;
    const [, key = ""] = sealKey.split(":");
    return [bodyKey, fingerprintKey, operatorToken, key, ...this.#hostTokens];
  }

  get whatsAppUrl(): string {
    if (this.#options.whatsAppUrl !== undefined) return this.#options.whatsAppUrl;
    return `${this.simulator?.url.replace("http", "ws") ?? ""}/ws/chat`;
  }

  /** An account with money, a key for any address, and a device, paired when a phone is named. */
  async customer(wanted: NewCustomer): Promise<Customer> {
    this.#names += 1;
    const name = `customer-${this.#names}`;
    const account = demand(await this.product.createAccount(name), "create an account");
    demand(await this.product.topUp(account.id, wanted.rupiah ?? 1_000_000, name), "top up");
    const key = demand(await this.product.createKey(account.id, name), "create a key");
    const device = demand(
      await this.product.createDevice(account.id, name, wanted.plan ?? "A"),
      "create a device",
    );
    const made = {
      accountId: account.id,
      apiKey: key.api_key,
      waid: device.waid,
      phone: wanted.phone ?? "",
    };
    if (wanted.phone !== null) await this.pair(made);
    return made;
  }

  /** Lets the customer's simulated phone scan the QR; ends when both sides say connected. */
  async pair(customer: Customer): Promise<void> {
    if (this.phones === null) throw new Error("this stack has no simulator to scan with");
    await connectSimulatedPhone(this.product, this.phones, customer, customer.phone, systemClock);
  }

  /** Any call to the Worker; `token` is an API key or `operatorToken`. */
  call<T>(call: Omit<Call, "url"> & { path: string }, shape: z.ZodType<T>) {
    return callJson({ ...call, url: `${this.url}${call.path}` }, shape);
  }

  /** Any control call to the simulator. */
  control<T>(method: "GET" | "POST", path: string, body: unknown, shape: z.ZodType<T>) {
    return callJson({ method, url: `${this.simulator?.url ?? ""}${path}`, body }, shape);
  }

  /** Asks until the answer is not null. */
  until<T>(
    what: string,
    attempt: () => Promise<T | null>,
    timeoutMs: number = UP_TIMEOUT_MS,
  ): Promise<T> {
    return waitUntil(systemClock, timeoutMs, `waited in vain for ${what}`, attempt);
  }

  /** Everything that all processes wrote, dead ones included. */
  output(): string {
    return this.#processes()
      .map((process) => process.output)
      .join("");
  }

  /** Ends every process, frozen ones too, and removes the folder. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes().map((process) => process.kill()));
    await rm(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #processes(): StackProcess[] {
    const simulator = this.simulator === null ? [] : [this.simulator.process];
    return [this.worker, ...simulator, ...this.hosts];
  }

  #launchSimulator(port: number): { process: StackProcess; url: string } {
    const spec = simulatorSpec(LOOPBACK, port, join(this.#folder, "simulator.json"));
    return { process: new StackProcess(spec), url: `http://${LOOPBACK}:${port}` };
  }

  #heard(message: unknown): void {
    const report = edgeReport.safeParse(message);
    if (!report.success) return;
    if (report.data.t === "ready") this.#workerReady.resolve();
    else this.#workerReady.reject(new Error(report.data.sentence));
  }
}

/** Starts Worker, simulator and hosts, and answers when all of them are up. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const folder = await mkdtemp(join(tmpdir(), "kabar-stack-"));
  const stack = new Stack(folder, await freePort(), await freePort(), options);
  try {
    await Promise.all([stack.workerUp(), stack.simulatorUp()]);
    for (let count = 0; count < (options.hosts ?? 1); count += 1) await stack.addHost();
    return stack;
  } catch (error) {
    const output = stack.output();
    await stack.stop();
    throw new Error(`the stack did not start; its processes wrote:\n${output}`, { cause: error });
  }
}
