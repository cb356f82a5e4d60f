/**
 * The composition root: what the apis may call, put together from the environment of one request. Holds no rules
 * and knows no wire; parts get what they need and nothing else.
 */
import { transfersOfMessage } from "../billing/message-transfers.ts";
import { topUp, type TopUp } from "../billing/top-up.ts";
import { readConfig } from "../config.ts";
import { deviceClient } from "../device/client.ts";
import { balancesOf, createAccount, type NewAccount } from "../directory/accounts.ts";
import { createApiKey, type NewApiKey } from "../directory/api-keys.ts";
import { devicesWithStatus } from "../directory/devices.ts";
import { systemClock } from "../domain/clock.ts";
import type { DeviceStatus } from "../domain/device-status.ts";
import { systemRandomBytes } from "../domain/id.ts";
import { fleetClient } from "../fleet/client.ts";
import { BodySeal } from "../gateway/body-seal.ts";
import { checkBalance, type BalanceRequest } from "../gateway/check-balance.ts";
import { createDevice, type NewDevice } from "../gateway/create-device.ts";
import { runCron } from "../gateway/cron.ts";
import type { Caller } from "../gateway/device-answer.ts";
import { Fingerprint } from "../gateway/fingerprint.ts";
import { getDevice } from "../gateway/get-device.ts";
import { getDevices } from "../gateway/get-devices.ts";
import { getMessage } from "../gateway/get-message.ts";
import { KnownDevices } from "../gateway/known-devices.ts";
import { pairDevice } from "../gateway/pair-device.ts";
import { sendMessages, type SendRequest } from "../gateway/send-messages.ts";
import { unpairDevice } from "../gateway/unpair-device.ts";

export type Services = ReturnType<typeof composeServices>;

type Unstamped<T> = Omit<T, "nowMs">;

/** What may outlive a request: derived keys, and where devices are. */
interface Kept {
  seal: BodySeal;
  fingerprint: Fingerprint;
  knownDevices: KnownDevices;
}

const kept = new WeakMap<Cloudflare.Env, Kept>();

function keptFor(env: Cloudflare.Env): Kept {
  const known = kept.get(env);
  if (known !== undefined) return known;
  const config = readConfig(env);
  const made = {
    seal: new BodySeal(config.BODY_KEY, systemRandomBytes),
    fingerprint: new Fingerprint(config.FINGERPRINT_KEY),
    knownDevices: new KnownDevices(),
  };
  kept.set(env, made);
  return made;
}

/** `later`: takes work that outlives the answer. */
export function composeServices(env: Cloudflare.Env, later: (work: Promise<unknown>) => void) {
  const db = env.DB;
  const clock = systemClock;
  const random = systemRandomBytes;
  const tools = { db, devices: deviceClient(env.DEVICES), clock, random, later, ...keptFor(env) };
  return {
    clock,
    random,
    later,
    sendMessages: (request: SendRequest) => sendMessages(tools, request),
    checkBalance: (request: BalanceRequest) => checkBalance(tools, request),
    getDevices: (caller: Caller) => getDevices(tools, caller),
    getDevice: (caller: Caller, waid: string) => getDevice(tools, caller, waid),
    pairDevice: (caller: Caller, waid: string, phone: string | null) =>
      pairDevice(tools, caller, waid, phone),
    unpairDevice: (caller: Caller, waid: string) => unpairDevice(tools, caller, waid),
    getMessage: (caller: Caller, id: number) => getMessage(tools, caller, id),
    operator: {
      tokenHash: readConfig(env).OPERATOR_TOKEN_HASH,
      fleet: fleetClient(env.FLEET),
      createAccount: (account: Unstamped<NewAccount>) =>
        createAccount(db, { ...account, nowMs: clock() }),
      topUp: (order: Omit<TopUp, "atMs">) => topUp(db, { ...order, atMs: clock() }),
      createApiKey: (key: Unstamped<NewApiKey>) => createApiKey(db, { ...key, nowMs: clock() }),
      createDevice: (device: NewDevice) => createDevice(tools, device),
      balancesOf: (accountId: number) => balancesOf(db, accountId),
      transfersOfMessage: (messageId: number) => transfersOfMessage(db, messageId),
      devicesWithStatus: (status: DeviceStatus | null) => devicesWithStatus(db, status),
      runCron: () => runCron(env, { thorough: true }),
    },
  };
}
