/**
 * Making, changing and deleting webhooks. The object comes first and shows its secret once; the row in D1 makes it
 * known to the devices, which hear at once or, at the latest, from the cron. A deleted one forgets everything.
 */
import { textsKeptMsOf } from "../directory/device-settings.ts";
import { readAccess } from "../directory/access.ts";
import {
  addEndpoint,
  changeEndpoint,
  endpointsOfAccount,
  forgetEndpoint,
  markEndpointDeleted,
  type EndpointWish,
  type KeptEndpoint,
} from "../directory/endpoints.ts";
import type { EventType } from "../domain/event.ts";
import type { RequestFailure } from "../domain/failure.ts";
import { randomHex } from "../domain/id.ts";
import { errorFields, logWarning } from "../domain/log.ts";
import { err, invariant, ok, type Result } from "../domain/result.ts";
import type { Caller } from "./device-answer.ts";
import {
  askEndpoint,
  deviceIds,
  identityOf,
  idsOfWaids,
  ownEndpoint,
  settingsOf,
  waidsOf,
  type EndpointAnswer,
  type EndpointTools,
} from "./endpoint-answer.ts";
import { tellDevices } from "./tell-devices.ts";

const ENDPOINTS_MAX = 20;

/** Devices by waid; null: all. */
export interface NewEndpoint extends Omit<EndpointWish, "devices"> {
  waids: string[] | null;
}

/** What is left out stays; null where it is named means all. */
export interface EndpointChange {
  url?: string;
  types?: EventType[] | null;
  waids?: string[] | null;
  allowHttp?: boolean;
  enabled?: boolean;
}

export async function createEndpoint(
  tools: EndpointTools,
  caller: Caller,
  wish: NewEndpoint,
): Promise<Result<EndpointAnswer & { secret: string }, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const { accountId } = access.value;
  const { waids, ...plain } = wish;
  const ids = await deviceIds(tools.db, accountId);
  const devices = waids === null ? null : idsOfWaids(ids, waids);
  if (waids !== null && devices === null) return err({ reason: "device_unknown" });
  const row: KeptEndpoint = {
    ...plain,
    devices,
    id: randomHex(tools.random, 16),
    accountId,
    createdMs: tools.clock(),
    textsKeptMs: await textsKeptMsOf(tools.db, accountId),
  };
  const who = identityOf(row);
  const installed = await askEndpoint(() => tools.endpoints.install(who, settingsOf(row)));
  if (!installed.ok) return installed;
  const { view, secret } = installed.value;
  invariant(secret !== null, "a fresh endpoint shows its secret");
  const kept = { ...row, url: view.settings.url };
  if (!(await addEndpoint(tools.db, kept, ENDPOINTS_MAX))) {
    await askEndpoint(() => tools.endpoints.close(who));
    return err({ reason: "too_many_endpoints", max: ENDPOINTS_MAX });
  }
  await tellNow(tools, accountId);
  return ok({ row: kept, waids: waidsOf(ids, kept), view, secret });
}

export async function listEndpoints(
  tools: EndpointTools,
  caller: Caller,
): Promise<Result<EndpointAnswer[], RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const { accountId } = access.value;
  const rows = await endpointsOfAccount(tools.db, accountId);
  const ids = await deviceIds(tools.db, accountId);
  const answers: EndpointAnswer[] = [];
  for (const asked of await Promise.all(rows.map((row) => answerFor(tools, ids, row)))) {
    if (!asked.ok) return asked;
    answers.push(asked.value);
  }
  return ok(answers);
}

export async function getEndpoint(
  tools: EndpointTools,
  caller: Caller,
  id: string,
): Promise<Result<EndpointAnswer, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  if (!own.ok) return own;
  const { row } = own.value;
  return answerFor(tools, await deviceIds(tools.db, row.accountId), row);
}

export async function updateEndpoint(
  tools: EndpointTools,
  caller: Caller,
  id: string,
  change: EndpointChange,
): Promise<Result<EndpointAnswer, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  if (!own.ok) return own;
  const { row, who } = own.value;
  const ids = await deviceIds(tools.db, row.accountId);
  const { waids, ...plain } = change;
  if (plain.types !== undefined && row.format === "form") {
    return err({ reason: "body_malformed", detail: "events: a form carries its one kind" });
  }
  const devices = waids === undefined || waids === null ? waids : idsOfWaids(ids, waids);
  if (waids !== undefined && waids !== null && devices === null) {
    return err({ reason: "device_unknown" });
  }
  const wished = { ...row, ...plain, ...(devices === undefined ? {} : { devices }) };
  const configured = await askEndpoint(() => tools.endpoints.configure(who, settingsOf(wished)));
  if (!configured.ok) return configured;
  const kept = { ...wished, url: configured.value.settings.url };
  await changeEndpoint(tools.db, kept);
  await tellNow(tools, row.accountId);
  return ok({ row: kept, waids: waidsOf(ids, kept), view: configured.value });
}

export async function deleteEndpoint(
  tools: EndpointTools,
  caller: Caller,
  id: string,
): Promise<Result<null, RequestFailure>> {
  const own = await ownEndpoint(tools, caller, id);
  if (!own.ok) return own;
  const { row, who } = own.value;
  await markEndpointDeleted(tools.db, row.accountId, id, tools.clock());
  await tellNow(tools, row.accountId);
  // One that is not reached now is closed by the cron.
  const closed = await askEndpoint(() => tools.endpoints.close(who));
  if (closed.ok) await forgetEndpoint(tools.db, id);
  return ok(null);
}

async function answerFor(
  tools: EndpointTools,
  ids: ReadonlyMap<string, string>,
  row: KeptEndpoint,
): Promise<Result<EndpointAnswer, RequestFailure>> {
  const view = await askEndpoint(() => tools.endpoints.view(identityOf(row)));
  return view.ok ? ok({ row, waids: waidsOf(ids, row), view: view.value }) : view;
}

/** Devices that do not hear now hear from the cron. */
async function tellNow(tools: EndpointTools, accountId: number): Promise<void> {
  try {
    await tellDevices(tools, accountId);
  } catch (error) {
    logWarning("devices not told", errorFields(error));
  }
}
