/**
 * What the worker tests share: a customer with account, key and device made through the operator's own API, and
 * requests as clients write them. Judging is left to the tests; money is read by their own SQL.
 */
import { env, SELF } from "cloudflare:test";
import { mirrorDeviceStatus } from "../../../src/directory/devices.ts";
import type { DeviceStatus } from "../../../src/domain/device-status.ts";

export const OPERATOR_TOKEN = "operator-token-for-tests";
export const CLIENT_ADDRESS = "203.0.113.7";
const ORIGIN = "https://kabar.test";

export interface Customer {
  accountId: number;
  apiKey: string;
  waid: string;
  deviceId: string;
}

export interface CustomerWishes {
  /** Rupiah credited; 0 for an account that was never topped up. */
  balance?: number;
  plan?: "A" | "B" | "C";
  status?: DeviceStatus;
  account?: Record<string, unknown>;
  key?: Record<string, unknown>;
}

/** A customer whose device D1 believes connected, unless other is wished. */
export async function newCustomer(wishes: CustomerWishes = {}): Promise<Customer> {
  const { balance = 1_000_000, plan = "A", status = "connected", account, key } = wishes;
  const { id: accountId } = await operator<{ id: number }>("POST", "/accounts", {
    name: "Klinik Sehat",
    ...account,
  });
  if (balance > 0) await topUp(accountId, balance);
  const apiKey = await newKey(accountId, key);
  const device = await newDevice(accountId, plan);
  if (status !== "unpaired") await believe(device.deviceId, status);
  return { accountId, apiKey, ...device };
}

export async function topUp(accountId: number, amount: number): Promise<void> {
  await operator("POST", `/accounts/${accountId}/top-ups`, {
    amount,
    reference: crypto.randomUUID(),
  });
}

export async function newKey(
  accountId: number,
  wishes: Record<string, unknown> = { any_address: true },
): Promise<string> {
  const body = { name: "Aplikasi", any_address: true, ...wishes };
  const made = await operator<{ api_key: string }>("POST", `/accounts/${accountId}/keys`, body);
  return made.api_key;
}

export async function newDevice(
  accountId: number,
  plan: "A" | "B" | "C" = "A",
): Promise<{ waid: string; deviceId: string }> {
  const made = await operator<{ waid: string; device_id: string }>(
    "POST",
    `/accounts/${accountId}/devices`,
    { name: "Loket", plan },
  );
  return { waid: made.waid, deviceId: made.device_id };
}

let revision = 1_000_000;

/** Makes D1 believe a status that no object reported. */
export async function believe(deviceId: string, status: DeviceStatus): Promise<void> {
  revision += 1;
  await mirrorDeviceStatus(env.DB, { deviceId, status, phone: "6281100000001", revision });
}

/** Throws unless the answer is a success. */
export async function operator<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await request(method, `/operator${path}`, {
    token: OPERATOR_TOKEN,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`operator ${method} ${path}: ${response.status} ${text}`);
  return (text === "" ? null : JSON.parse(text)) as T;
}

export interface RequestParts {
  token?: string;
  body?: BodyInit;
  /** Null: the platform names none. */
  address?: string | null;
  headers?: Record<string, string>;
}

export function request(
  method: string,
  path: string,
  { token, body, address = CLIENT_ADDRESS, headers = {} }: RequestParts = {},
): Promise<Response> {
  return SELF.fetch(ORIGIN + path, {
    method,
    redirect: "manual",
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(address === null ? {} : { "cf-connecting-ip": address }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
  });
}

export const SEND_PATH = "/sms/api_whatsapp_send_json.php";
export const BALANCE_PATH = "/sms/api_whatsapp_balance_json.php";

export interface PacketToSend {
  number?: unknown;
  message?: unknown;
  sendingdatetime?: unknown;
}

export interface SendAnswer {
  globalstatus: number;
  globalstatustext: string;
  datapacket?: {
    packet: {
      number: string;
      sendingid: number;
      sendingstatus: number;
      sendingstatustext: string;
      price: number;
    };
  }[];
}

/** The raw text of the answer to a send by the old API. */
export async function sendRaw(
  customer: Pick<Customer, "apiKey" | "waid">,
  packets: unknown[],
  parts: RequestParts = {},
): Promise<string> {
  const { apiKey, waid } = customer;
  const body = JSON.stringify({ apikey: apiKey, waid, datapacket: packets });
  const response = await request("POST", SEND_PATH, { body, ...parts });
  return response.text();
}

export async function send(
  customer: Pick<Customer, "apiKey" | "waid">,
  packets: PacketToSend[],
  parts: RequestParts = {},
): Promise<SendAnswer> {
  const raw = await sendRaw(customer, packets, parts);
  const answer = JSON.parse(raw) as { sending_respon: [SendAnswer] };
  return answer.sending_respon[0];
}

/** What each packet was told. */
export function packetsOf(answer: SendAnswer) {
  return (answer.datapacket ?? []).map(({ packet }) => packet);
}

let written = 0;

/** A text that no other call writes. */
export function freshText(): string {
  written += 1;
  return `Pengingat kontrol nomor ${written}`;
}

/** Balances as the fold of transfers gives them, apart from any cache. */
export async function foldOf(
  accountId: number,
): Promise<{ available: number; held: number; revenue: number; cash: number }> {
  const { results } = await env.DB.prepare(
    "SELECT debit, credit, amount FROM transfers WHERE account_id = ?",
  )
    .bind(accountId)
    .all<{ debit: string; credit: string; amount: number }>();
  const fold = new Map<string, number>();
  for (const { debit, credit, amount } of results) {
    fold.set(debit, (fold.get(debit) ?? 0) - amount);
    fold.set(credit, (fold.get(credit) ?? 0) + amount);
  }
  const book = (name: string) => fold.get(name) ?? 0;
  return {
    available: book("available"),
    held: book("held"),
    revenue: book("revenue"),
    cash: book("cash"),
  };
}

export async function cachedBalances(accountId: number) {
  return operator<{ available: number; held: number; owed: number }>(
    "GET",
    `/accounts/${accountId}/balances`,
  );
}
