/**
 * The composition root: what the apis may call, put together from the environment of one request. Holds no rules
 * and knows no wire; parts get what they need and nothing else.
 */
import { alertsClient } from "../alerts/client.ts";
import { transfersOfMessage } from "../billing/message-transfers.ts";
import { topUp, type TopUp } from "../billing/top-up.ts";
import { readConfig } from "../config.ts";
import { deviceClient } from "../device/client.ts";
import {
  balancesOf,
  createAccount,
  type AccountChange,
  type NewAccount,
} from "../directory/accounts.ts";
import { createApiKey, type NewApiKey } from "../directory/api-keys.ts";
import { devicesWithStatus } from "../directory/devices.ts";
import type { KeySettings } from "../directory/managed-keys.ts";
import type { AddressRange } from "../domain/client-address.ts";
import { readUnknownKeys, type UnknownKeyFilter } from "../directory/unknown-keys.ts";
import { systemClock } from "../domain/clock.ts";
import type { DeviceStatus } from "../domain/device-status.ts";
import { systemRandomBytes } from "../domain/id.ts";
import { TokenBuckets } from "../domain/token-bucket.ts";
import { endpointClient } from "../endpoint/client.ts";
import type { ReplayScope } from "../endpoint/interface.ts";
import { fleetClient } from "../fleet/client.ts";
import { allowRefusedAddress } from "../gateway/allow-refused-address.ts";
import { booksState } from "../gateway/books-state.ts";
import { BodySeal } from "../gateway/body-seal.ts";
import { checkBalance, type BalanceRequest } from "../gateway/check-balance.ts";
import { accountBalance } from "../gateway/account-balance.ts";
import { cancelMessage, cancelWaiting, type WaitingSearch } from "../gateway/cancel-messages.ts";
import { changeAccountSettings } from "../gateway/change-account.ts";
import { changeDevice, deleteDevice, type DeviceChange } from "../gateway/change-device.ts";
import { closeAccount } from "../gateway/close-account.ts";
import {
  addOwnDevice,
  createDevice,
  enterAgain,
  type NewDevice,
} from "../gateway/create-device.ts";
import { runCron } from "../gateway/cron.ts";
import type { Caller } from "../gateway/device-answer.ts";
import type { EndpointTools } from "../gateway/endpoint-answer.ts";
import { FairTurns } from "../gateway/fair-turns.ts";
import { Fingerprint } from "../gateway/fingerprint.ts";
import { getAccountEvents } from "../gateway/get-account-events.ts";
import { getDevice } from "../gateway/get-device.ts";
import { getDevices } from "../gateway/get-devices.ts";
import { getMessage } from "../gateway/get-message.ts";
import { getQueue } from "../gateway/get-queue.ts";
import { getRequests, type RequestsAsked } from "../gateway/get-requests.ts";
import { GroupCommit } from "../gateway/group-commit.ts";
import { KeyNames, readNamesIfDue } from "../gateway/key-names.ts";
import { KnownDevices } from "../gateway/known-devices.ts";
import { KnownKeys } from "../gateway/known-keys.ts";
import { keepEventsOf, listEvents, type EventsCursor } from "../gateway/list-events.ts";
import { listInbound } from "../gateway/list-inbound.ts";
import {
  createEndpoint,
  deleteEndpoint,
  getEndpoint,
  listEndpoints,
  updateEndpoint,
  type EndpointChange,
  type NewEndpoint,
} from "../gateway/manage-endpoints.ts";
import { listMessages } from "../gateway/list-messages.ts";
import {
  addKey,
  changeOwnKey,
  getKey,
  listKeys,
  revokeOwnKey,
  rollKey,
  setAddresses,
  type KeyTools,
  type OwnKey,
} from "../gateway/manage-keys.ts";
import type { MessageSearch } from "../gateway/message-list.ts";
import { pairDevice } from "../gateway/pair-device.ts";
import { LOG_KEPT_MS, RequestLog, type LineToLog } from "../gateway/request-log.ts";
import { inTurn, OTHER_TURNS, SEND_TURNS, sendInTurn } from "../gateway/send-in-turn.ts";
import type { SendRequest } from "../gateway/send-messages.ts";
import { sealKeysPage } from "../gateway/seal-keys.ts";
import { resumeAnyDevice, resumeDevice } from "../gateway/resume-device.ts";
import { Strangers } from "../gateway/strangers.ts";
import {
  listAttempts,
  listDeadLetters,
  replayEvents,
  rotateSecret,
  testEndpoint,
} from "../gateway/use-endpoints.ts";
import { unpairDevice } from "../gateway/unpair-device.ts";
import { restoreClient } from "../restore/client.ts";
import { tombstonesClient } from "../tombstones/client.ts";

export type Services = ReturnType<typeof composeServices>;

type Unstamped<T> = Omit<T, "nowMs">;

/** What may outlive a request: derived keys, where devices are, and how busy callers have been. */
interface Kept {
  seal: BodySeal;
  fingerprint: Fingerprint;
  knownDevices: KnownDevices;
  knownKeys: KnownKeys;
  keyNames: KeyNames;
  sendTurns: FairTurns;
  /** Of whatever is no send. */
  otherTurns: FairTurns;
  groupCommit: GroupCommit;
  strangers: Strangers;
  requestLog: RequestLog;
  keyRates: TokenBuckets;
  /** Of keys that D1 is not known to know. */
  newKeyRates: TokenBuckets;
}

const KEYS_REMEMBERED_MAX = 10_000;

const kept = new WeakMap<Cloudflare.Env, Kept>();

function keptFor(env: Cloudflare.Env): Kept {
  const known = kept.get(env);
  if (known !== undefined) return known;
  const config = readConfig(env);
  const rate = {
    tokensMax: config.KEY_REQUESTS_PER_MINUTE,
    fillMs: 60_000,
    namesMax: KEYS_REMEMBERED_MAX,
  };
  const keyNames = new KeyNames();
  const made = {
    seal: new BodySeal(config.BODY_KEY, systemRandomBytes),
    fingerprint: new Fingerprint(config.FINGERPRINT_KEY),
    knownDevices: new KnownDevices(),
    knownKeys: new KnownKeys(),
    keyNames,
    strangers: new Strangers(keyNames),
    sendTurns: new FairTurns(SEND_TURNS, systemClock),
    otherTurns: new FairTurns(OTHER_TURNS, systemClock),
    groupCommit: new GroupCommit(),
    requestLog: new RequestLog(config.REQUEST_LOG_DELAY_MS),
    keyRates: new TokenBuckets(rate),
    newKeyRates: new TokenBuckets(rate),
  };
  kept.set(env, made);
  return made;
}

/** `later`: takes work that outlives the answer. */
function toolsFor(env: Cloudflare.Env, later: (work: Promise<unknown>) => void) {
  return {
    db: env.DB,
    clock: systemClock,
    random: systemRandomBytes,
    devices: deviceClient(env.DEVICES),
    endpoints: endpointClient(env.ENDPOINTS),
    tombstones: tombstonesClient(env.TOMBSTONES),
    later,
    ...keptFor(env),
  };
}

export function composeServices(env: Cloudflare.Env, later: (work: Promise<unknown>) => void) {
  const tools = toolsFor(env, later);
  const { clock, random } = tools;
  return {
    clock,
    random,
    later,
    plainHttp: readConfig(env).PLAIN_HTTP,
    strangers: tools.strangers,
    readKeyNames: () => readNamesIfDue(tools),
    keyRates: tools.keyRates,
    newKeyRates: tools.newKeyRates,
    sendMessages: (request: SendRequest) => sendInTurn(tools, request),
    inTurn: <T>(keyHash: string, work: () => Promise<T>) => inTurn(tools, keyHash, work),
    checkBalance: (request: BalanceRequest) => checkBalance(tools, request),
    getDevices: (caller: Caller) => getDevices(tools, caller),
    getDevice: (caller: Caller, waid: string) => getDevice(tools, caller, waid),
    pairDevice: (caller: Caller, waid: string, phone: string | null) =>
      pairDevice(tools, caller, waid, phone),
    unpairDevice: (caller: Caller, waid: string) => unpairDevice(tools, caller, waid),
    resumeDevice: (caller: Caller, waid: string) => resumeDevice(tools, caller, waid),
    getMessage: (caller: Caller, id: number) => getMessage(tools, caller, id),
    listMessages: (caller: Caller, search: MessageSearch) => listMessages(tools, caller, search),
    cancelMessage: (caller: Caller, id: number) => cancelMessage(tools, caller, id),
    cancelWaiting: (caller: Caller, search: WaitingSearch) => cancelWaiting(tools, caller, search),
    getQueue: (caller: Caller, waid: string, countMax: number) =>
      getQueue(tools, caller, waid, countMax),
    addOwnDevice: (caller: Caller, name: string) => addOwnDevice(tools, caller, name),
    changeDevice: (caller: Caller, waid: string, change: DeviceChange) =>
      changeDevice(tools, caller, waid, change),
    deleteDevice: (caller: Caller, waid: string) => deleteDevice(tools, caller, waid),
    accountBalance: (caller: Caller) => accountBalance(tools, caller),
    keys: ownKeys(tools),
    endpoints: ownEndpoints(tools),
    listEvents: (caller: Caller, after: EventsCursor, countMax: number) =>
      listEvents(tools, caller, after, countMax),
    keepEvents: (caller: Caller, areKept: boolean) => keepEventsOf(tools, caller, areKept),
    listInbound: (caller: Caller, waid: string, before: number | null, countMax: number) =>
      listInbound(tools, caller, waid, before, countMax),
    logRequest: (line: LineToLog) => tools.requestLog.add(tools, line),
    getRequests: (caller: Caller, asked: RequestsAsked) => getRequests(tools, caller, asked),
    allowRefusedAddress: (caller: Caller, requestId: string, width: "address" | "64") =>
      allowRefusedAddress(tools, caller, requestId, width),
    getAccountEvents: (caller: Caller, after: number, limit: number) =>
      getAccountEvents(tools, caller, after, limit),
    /** Put together when it is asked for, which few requests do. */
    get operator() {
      return operatorDesk(tools, env);
    },
  };
}

function operatorDesk(tools: ReturnType<typeof toolsFor>, env: Cloudflare.Env) {
  const { db, clock } = tools;
  const restore = restoreClient(env.RESTORE);
  return {
    tokenHash: readConfig(env).OPERATOR_TOKEN_HASH,
    fleet: fleetClient(env.FLEET),
    alerts: alertsClient(env.ALERTS),
    restore,
    enterAgain: async (deviceId: string, wish: Pick<NewDevice, "name" | "planCode">) => {
      const known = await restore.forgotten(deviceId);
      return known !== null && (await enterAgain(tools, { ...known, ...wish })) ? known : null;
    },
    sealKeys: (after: string) => sealKeysPage(tools, after, clock()),
    booksState: () => booksState({ db, restore }, clock()),
    createAccount: (account: Unstamped<NewAccount>) =>
      createAccount(db, { ...account, nowMs: clock() }),
    changeAccount: (accountId: number, change: AccountChange) =>
      changeAccountSettings(tools, accountId, change),
    closeAccount: (accountId: number) => closeAccount(tools, accountId),
    topUp: (order: Omit<TopUp, "atMs">) => topUp(db, { ...order, atMs: clock() }),
    createApiKey: (key: Unstamped<NewApiKey>) => createApiKey(db, { ...key, nowMs: clock() }),
    createDevice: (device: NewDevice) => createDevice(tools, device),
    balancesOf: (accountId: number) => balancesOf(db, accountId),
    transfersOfMessage: (messageId: number) => transfersOfMessage(db, messageId),
    devicesWithStatus: (status: DeviceStatus | null) => devicesWithStatus(db, status),
    resumeDevice: (waid: string) => resumeAnyDevice(tools, waid),
    unknownKeys: (filter: Omit<UnknownKeyFilter, "sinceMs">) =>
      readUnknownKeys(db, { ...filter, sinceMs: clock() - LOG_KEPT_MS }),
    runCron: () => runCron(env, { thorough: true }),
  };
}

function ownEndpoints(tools: EndpointTools) {
  return {
    list: (caller: Caller) => listEndpoints(tools, caller),
    get: (caller: Caller, id: string) => getEndpoint(tools, caller, id),
    create: (caller: Caller, wish: NewEndpoint) => createEndpoint(tools, caller, wish),
    update: (caller: Caller, id: string, change: EndpointChange) =>
      updateEndpoint(tools, caller, id, change),
    delete: (caller: Caller, id: string) => deleteEndpoint(tools, caller, id),
    rotate: (caller: Caller, id: string) => rotateSecret(tools, caller, id),
    test: (caller: Caller, id: string) => testEndpoint(tools, caller, id),
    replay: (caller: Caller, id: string, scope: ReplayScope, cursor: number | null) =>
      replayEvents(tools, caller, id, scope, cursor),
    attempts: (caller: Caller, id: string, cursor: number | null) =>
      listAttempts(tools, caller, id, cursor),
    deadLetters: (caller: Caller, id: string, cursor: number | null) =>
      listDeadLetters(tools, caller, id, cursor),
  };
}

function ownKeys(tools: KeyTools) {
  return {
    list: (caller: Caller) => listKeys(tools, caller),
    get: (caller: Caller, id: number) => getKey(tools, caller, id),
    add: (caller: Caller, key: OwnKey) => addKey(tools, caller, key),
    change: (caller: Caller, id: number, settings: KeySettings) =>
      changeOwnKey(tools, caller, id, settings),
    setAddresses: (
      caller: Caller,
      id: number,
      list: { addresses: AddressRange[]; anyAddress: boolean | null },
    ) => setAddresses(tools, caller, id, list),
    revoke: (caller: Caller, id: number) => revokeOwnKey(tools, caller, id),
    roll: (caller: Caller, id: number, overlapMs: number) => rollKey(tools, caller, id, overlapMs),
  };
}
