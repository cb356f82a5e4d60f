/**
 * The running product as its users and its operator see it: the old endpoint, /v1 and the operator API over HTTP.
 * Nothing is remembered; whoever prints a line from here has just read it.
 */
import { z } from "zod";
import { callJson } from "./http-call.ts";
import type { CallFailure } from "./http-call.ts";
import type { Result } from "../../src/domain/result.ts";
import { messageReasons, messageStatuses } from "../../src/domain/message-status.ts";
import { deviceStatuses } from "../../src/domain/device-status.ts";

type Answer<T> = Promise<Result<T, CallFailure>>;

const hostList = z.object({
  hosts: z.array(z.object({ id: z.string(), connected: z.boolean(), devices: z.number() })),
});
const device = z.object({
  id: z.string(),
  status: z.enum(deviceStatuses),
  phone: z.string().nullable(),
  pairing: z.object({ qr: z.string().nullable() }).nullable(),
});
export type DeviceAnswer = z.infer<typeof device>;

const step = z.object({
  status: z.enum(messageStatuses),
  reason: z.enum(messageReasons).nullable(),
});
const message = step.extend({ price: z.number(), history: z.array(step) });
export type MessageAnswer = z.infer<typeof message>;
export type MessageStep = z.infer<typeof step>;

const balances = z.object({ available: z.number(), held: z.number(), owed: z.number() });
export type Balances = z.infer<typeof balances>;

const transfers = z.object({
  transfers: z.array(z.object({ kind: z.string(), amount: z.number() })),
});

const sendAnswer = z.object({
  sending_respon: z.tuple([
    z.object({
      globalstatus: z.number(),
      globalstatustext: z.string(),
      datapacket: z
        .array(
          z.object({
            packet: z.object({
              sendingid: z.number(),
              sendingstatus: z.number(),
              sendingstatustext: z.string(),
              price: z.number(),
            }),
          }),
        )
        .optional(),
    }),
  ]),
});
export type SendAnswer = z.infer<typeof sendAnswer>;

const anything = z.unknown();

export class Product {
  readonly #url: string;
  readonly #operatorToken: string;

  constructor(url: string, operatorToken: string) {
    this.#url = url;
    this.#operatorToken = operatorToken;
  }

  hosts(): Answer<z.infer<typeof hostList>> {
    return this.#operator("GET", "/operator/hosts", undefined, hostList);
  }

  approveHost(name: string, devicesMax: number): Answer<{ id: string; token: string }> {
    const shape = z.object({ id: z.string(), token: z.string() });
    return this.#operator("POST", "/operator/hosts", { name, devices_max: devicesMax }, shape);
  }

  createAccount(name: string): Answer<{ id: number }> {
    return this.#operator("POST", "/operator/accounts", { name }, z.object({ id: z.number() }));
  }

  /** Repeating it with the same reference adds nothing. */
  topUp(accountId: number, amount: number, reference: string): Answer<unknown> {
    const path = `/operator/accounts/${accountId}/top-ups`;
    return this.#operator("POST", path, { amount, reference }, anything);
  }

  createKey(accountId: number, name: string): Answer<{ api_key: string }> {
    const path = `/operator/accounts/${accountId}/keys`;
    return this.#operator(
      "POST",
      path,
      { name, any_address: true },
      z.object({ api_key: z.string() }),
    );
  }

  createDevice(accountId: number, name: string, plan: "A" | "B" | "C"): Answer<{ waid: string }> {
    const path = `/operator/accounts/${accountId}/devices`;
    return this.#operator("POST", path, { name, plan }, z.object({ waid: z.string() }));
  }

  balances(accountId: number): Answer<Balances> {
    return this.#operator("GET", `/operator/accounts/${accountId}/balances`, undefined, balances);
  }

  transfers(messageId: number): Answer<z.infer<typeof transfers>> {
    return this.#operator("GET", `/operator/messages/${messageId}/transfers`, undefined, transfers);
  }

  runCron(): Answer<unknown> {
    return this.#operator("POST", "/operator/cron", {}, anything);
  }

  device(apiKey: string, waid: string): Answer<DeviceAnswer> {
    return callJson(
      { method: "GET", url: `${this.#url}/v1/devices/${waid}`, token: apiKey },
      device,
    );
  }

  /** By QR; while a pairing runs it answers the running one. */
  pair(apiKey: string, waid: string): Answer<DeviceAnswer> {
    const url = `${this.#url}/v1/devices/${waid}/pair`;
    return callJson({ method: "POST", url, token: apiKey, body: {} }, device);
  }

  /** A webhook for everything, without TLS; the secret is answered once. */
  createEndpoint(apiKey: string, url: string): Answer<{ id: string; secret: string }> {
    const body = { url, format: "json", allow_http: true };
    return callJson(
      { method: "POST", url: `${this.#url}/v1/endpoints`, token: apiKey, body },
      z.object({ id: z.string(), secret: z.string() }),
    );
  }

  moveEndpoint(apiKey: string, id: string, url: string): Answer<unknown> {
    const call = { method: "PATCH" as const, url: `${this.#url}/v1/endpoints/${id}` };
    return callJson({ ...call, token: apiKey, body: { url, enabled: true } }, anything);
  }

  message(apiKey: string, id: number): Answer<MessageAnswer> {
    return callJson(
      { method: "GET", url: `${this.#url}/v1/messages/${id}`, token: apiKey },
      message,
    );
  }

  /** One text by the old endpoint, as the old API's clients send it. */
  send(apiKey: string, waid: string, number: string, text: string): Answer<SendAnswer> {
    const body = {
      apikey: apiKey,
      waid,
      datapacket: [{ number, message: text, sendingdatetime: "" }],
    };
    return callJson({ method: "POST", url: `${this.#url}${OLD_SEND_PATH}`, body }, sendAnswer);
  }

  #operator<T>(
    method: "GET" | "POST",
    path: string,
    body: unknown,
    shape: z.ZodType<T>,
  ): Answer<T> {
    return callJson(
      { method, url: `${this.#url}${path}`, token: this.#operatorToken, body },
      shape,
    );
  }
}

export const OLD_SEND_PATH = "/sms/api_whatsapp_send_json.php";
