/**
 * What every flow test shares: a stack of real processes, a customer's calls with its own record of the answers,
 * and the checks at the end of a file that hold whatever was tested: no key used twice, nothing unexpected at
 * WhatsApp, books that fold to their balances, nothing secret in any output.
 */
import { afterAll, beforeAll } from "vitest";
import { z } from "zod";
import { OLD_SEND_PATH } from "../../../session-host/local/product.ts";
import type { DeviceStatus } from "../../../src/domain/device-status.ts";
import { mayRise, messageStatuses } from "../../../src/domain/message-status.ts";
import type { MessageStatus } from "../../../src/domain/message-status.ts";
import { startStack } from "./stack.ts";
import type { Customer, Stack } from "./stack.ts";
import type { StackOptions } from "./stack-options.ts";
import { Stored } from "./stored.ts";
import { Whatsapp } from "./whatsapp.ts";

const SEND_TIMEOUT_MS = 30_000;
const BOOKS_TIMEOUT_MS = 60_000;
const SECRET_LENGTH_MIN = 8;

export interface Packet {
  number: string;
  message: string;
  /** Wall time in the account's zone; empty or absent: at once. */
  sendingdatetime?: string;
}

const packetAnswer = z.object({
  sendingid: z.number(),
  sendingstatus: z.number(),
  price: z.number(),
});
export type PacketAnswer = z.infer<typeof packetAnswer>;
const sendAnswer = z.object({
  sending_respon: z.tuple([
    z.object({
      globalstatus: z.number(),
      datapacket: z.array(z.object({ packet: packetAnswer })).optional(),
    }),
  ]),
});
const deviceAnswer = z.object({
  status: z.string(),
  phone: z.string().nullable(),
  pairing: z.object({ qr: z.string().nullable(), code: z.string().nullable() }).nullable(),
});
export type DeviceAnswer = z.infer<typeof deviceAnswer>;
const messageAnswer = z.object({
  status: z.enum(messageStatuses),
  reason: z.string().nullable(),
  price: z.number(),
  history: z.array(z.object({ status: z.string(), reason: z.string().nullable() })),
});
export type MessageAnswer = z.infer<typeof messageAnswer>;

/** Registers the start and the end of the file's stack. */
export function useFlow(options: StackOptions = {}): Flow {
  const flow = new Flow();
  beforeAll(() => flow.start(options));
  afterAll(() => flow.end());
  return flow;
}

export class Flow {
  readonly #secrets = new Set<string>();
  #stack: Stack | null = null;
  #unreadable = 0;

  async start(options: StackOptions): Promise<void> {
    this.#stack = await startStack(options);
  }

  get stack(): Stack {
    if (this.#stack === null) throw new Error("the stack is not up");
    return this.#stack;
  }

  get whatsapp(): Whatsapp {
    return new Whatsapp(this.stack.simulator?.url ?? "");
  }

  get stored(): Stored {
    return new Stored(this.stack.storePath, this.stack.bodyKey);
  }

  /** Whatever is named here must be in no output at the end. */
  keepSecret(...secrets: string[]): void {
    for (const secret of secrets) this.#secrets.add(secret);
  }

  /** So many copies of texts will not be readable, because a test made a phone forget its sessions. */
  expectUnreadable(count: number): void {
    this.#unreadable += count;
  }

  /** A number of a phone. Logs may not have it in any form, so what is searched is the part after the 62. */
  #keepNumber(number: string): void {
    this.keepSecret(number.slice(2));
  }

  /** A customer with money and a device; by QR paired with this phone, unless it is null. */
  async customer(phone: string | null): Promise<Customer> {
    const made = await this.stack.customer({ phone: null });
    this.keepSecret(made.apiKey);
    if (phone === null) return made;
    const customer = { ...made, phone };
    await this.pairByQr(customer, phone);
    return customer;
  }

  async pairByQr(customer: Customer, phone: string): Promise<void> {
    await this.#post(customer, "/pair", {});
    const qr = await this.until(
      "a QR",
      async () => (await this.device(customer)).pairing?.qr ?? null,
    );
    this.keepSecret(qr, ...qr.split(","));
    this.#keepNumber(phone);
    const after = await this.whatsapp.last();
    const refusal = await this.whatsapp.scan(phone, qr);
    if (refusal !== null) throw new Error(`the phone did not take the QR: ${refusal}`);
    await this.whatsapp.event("online", phone, after);
    await this.untilDevice(customer, "connected");
  }

  /** Asks for a code for this phone and answers it. */
  async pairingCode(customer: Customer, phone: string): Promise<string> {
    await this.#post(customer, "/pair", { phone });
    const code = await this.until(
      "a pairing code",
      async () => (await this.device(customer)).pairing?.code ?? null,
    );
    this.keepSecret(code);
    this.#keepNumber(phone);
    return code;
  }

  async device(customer: Customer): Promise<DeviceAnswer> {
    return this.#get(customer, `/v1/devices/${customer.waid}`, deviceAnswer);
  }

  async untilDevice(customer: Customer, status: DeviceStatus): Promise<void> {
    await this.until(`the device to be ${status}`, async () =>
      (await this.device(customer)).status === status ? true : null,
    );
  }

  /** One request of the old API; throws when there is no whole answer. The global code and one answer a packet. */
  async send(
    customer: Customer,
    ...packets: Packet[]
  ): Promise<{ code: number; packets: PacketAnswer[] }> {
    for (const { number, message } of packets) {
      this.keepSecret(message);
      this.#keepNumber(number);
    }
    const response = await fetch(`${this.stack.url}${OLD_SEND_PATH}`, {
      method: "POST",
      body: JSON.stringify({
        apikey: customer.apiKey,
        waid: customer.waid,
        datapacket: packets.map((packet) => ({ sendingdatetime: "", ...packet })),
      }),
      signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
    });
    const [answer] = sendAnswer.parse(await response.json()).sending_respon;
    const answers = (answer.datapacket ?? []).map(({ packet }) => packet);
    return { code: answer.globalstatus, packets: answers };
  }

  /** One text that must be accepted; answers its id. */
  async sendOne(customer: Customer, number: string, message: string): Promise<number> {
    const { code, packets } = await this.send(customer, { number, message });
    const [packet] = packets;
    if (packet?.sendingstatus === 10) return packet.sendingid;
    throw new Error(`not accepted: ${code}, ${packet?.sendingstatus}`);
  }

  /** The host whose keys the device accepts, by its place in the stack; -1: none. */
  hostOf(customer: Customer): number {
    const sql = "SELECT host_id AS id FROM epochs JOIN device USING (epoch)";
    const [row] = this.stored.device(customer.waid, sql);
    return this.stack.hostIds.indexOf(String(row?.["id"]));
  }

  /** The operator wants this host empty, or no longer. */
  async drain(host: number, wanted: boolean): Promise<void> {
    const path = `/operator/hosts/${this.stack.hostIds[host] ?? ""}/drain`;
    const call = {
      method: wanted ? ("POST" as const) : ("DELETE" as const),
      path,
      token: this.stack.operatorToken,
    };
    const answer = await this.stack.call(call, z.object({ drained: z.literal(wanted) }));
    if (!answer.ok) throw new Error(`${call.method} ${path}: ${answer.error.reason}`);
  }

  message(customer: Customer, id: number): Promise<MessageAnswer> {
    return this.#get(customer, `/v1/messages/${id}`, messageAnswer);
  }

  /** Until it is that far, or further up the ladder. */
  untilMessage(customer: Customer, id: number, status: MessageStatus): Promise<MessageAnswer> {
    return this.until(`a message to be ${status}`, async () => {
      const message = await this.message(customer, id);
      return message.status === status || mayRise(status, message.status) ? message : null;
    });
  }

  /** The books follow the device after a moment. */
  untilMoney(id: number, ...lines: string[]): Promise<string[]> {
    return this.until(`the money line ${lines.join(", ")}`, async () => {
      const found = this.stored.money(id);
      return found.join() === lines.join() ? found : null;
    });
  }

  until<T>(what: string, attempt: () => Promise<T | null>, timeoutMs?: number): Promise<T> {
    return this.stack.until(what, attempt, timeoutMs);
  }

  /** Stops everything; throws when something is wrong that no test may ever find. */
  async end(): Promise<void> {
    if (this.#stack === null) return;
    const { stack } = this;
    const wrong: string[] = [];
    try {
      wrong.push(...(await this.#wrongAtWhatsapp()), ...(await this.#wrongInBooks()));
    } finally {
      await stack.stop();
    }
    const output = stack.output();
    if (output === "") wrong.push("no process wrote anything");
    const secrets = [...this.#secrets, ...stack.secrets].filter(
      (secret) => secret.length >= SECRET_LENGTH_MIN,
    );
    const leaked = secrets.filter((secret) => output.includes(secret));
    wrong.push(...leaked.map((secret) => `in the output: ${secret}`));
    if (wrong.length > 0) throw new Error(wrong.join("\n"));
  }

  async #wrongAtWhatsapp(): Promise<string[]> {
    const { keyReuses, keyUsedAlready, decryptFailures, unexpected, wrongSignatures } =
      await this.whatsapp.evidence();
    const decryptFailuresBeside = Math.abs(decryptFailures - this.#unreadable);
    const counts = Object.entries({ keyReuses, keyUsedAlready, decryptFailuresBeside });
    return [
      ...counts.filter(([, count]) => count > 0).map(([what, count]) => `${what}: ${count}`),
      ...unexpected.map((what) => `unexpected: ${what}`),
      ...wrongSignatures.map((what) => `wrong signature: ${what}`),
    ];
  }

  /** An end may be on its way to the books. */
  async #wrongInBooks(): Promise<string[]> {
    const agree = async (): Promise<true | null> =>
      this.stored.differences().length === 0 ? true : null;
    await this.until("the books to agree", agree, BOOKS_TIMEOUT_MS).catch(() => null);
    return this.stored.differences().map((what) => `the books differ: ${what}`);
  }

  async #get<T>(customer: Customer, path: string, shape: z.ZodType<T>): Promise<T> {
    const answer = await this.stack.call({ method: "GET", path, token: customer.apiKey }, shape);
    if (!answer.ok) throw new Error(`GET ${path}: ${answer.error.reason}`);
    return answer.value;
  }

  async #post(customer: Customer, path: string, body: object): Promise<void> {
    const call = {
      method: "POST" as const,
      path: `/v1/devices/${customer.waid}${path}`,
      token: customer.apiKey,
      body,
    };
    const answer = await this.stack.call(call, z.unknown());
    if (!answer.ok) throw new Error(`POST ${path}: ${answer.error.reason}`);
  }
}
