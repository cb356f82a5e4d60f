/**
 * A webhook as its owner sees it: the row of D1 beside what the object knows, devices by their waid. Also what every
 * use case of webhooks shares: who asks, which row, and a call that may fail. Changes nothing.
 */
import type { DeviceClient } from "../device/client.ts";
import { readAccess } from "../directory/access.ts";
import { devicesOfAccount } from "../directory/devices.ts";
import { endpointOfAccount, type KeptEndpoint } from "../directory/endpoints.ts";
import type { Clock } from "../domain/clock.ts";
import type { RequestFailure } from "../domain/failure.ts";
import type { RandomBytes } from "../domain/id.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { err, ok, unreachable, type Result } from "../domain/result.ts";
import type { EndpointClient } from "../endpoint/client.ts";
import type {
  EndpointIdentity,
  EndpointSettings,
  EndpointView,
  SettingsRefusal,
} from "../endpoint/interface.ts";
import type { Caller } from "./device-answer.ts";

export interface EndpointTools {
  db: D1Database;
  devices: DeviceClient;
  endpoints: EndpointClient;
  clock: Clock;
  random: RandomBytes;
}

export interface EndpointAnswer {
  row: KeptEndpoint;
  /** Of `row.devices`, by waid; null: all. */
  waids: string[] | null;
  view: EndpointView;
}

export interface OwnEndpoint {
  row: KeptEndpoint;
  who: EndpointIdentity;
}

export function identityOf({ id, accountId }: Pick<KeptEndpoint, "id" | "accountId">) {
  return { endpointId: id, accountId };
}

export async function ownEndpoint(
  tools: EndpointTools,
  caller: Caller,
  id: string,
): Promise<Result<OwnEndpoint, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const row = await endpointOfAccount(tools.db, access.value.accountId, id);
  return row === null ? err({ reason: "endpoint_unknown" }) : ok({ row, who: identityOf(row) });
}

/** A lost call is a failure that the caller may repeat; a refusal means the row and its object disagree. */
export async function askEndpoint<T>(
  question: () => Promise<Result<T, SettingsRefusal | { reason: "foreign" }>>,
): Promise<Result<T, RequestFailure>> {
  try {
    const answer = await question();
    return answer.ok ? answer : err(failureOf(answer.error));
  } catch (error) {
    logWarning("endpoint not reached", errorFields(error));
    return err({ reason: "system_unavailable" });
  }
}

function failureOf(refusal: SettingsRefusal): RequestFailure {
  switch (refusal.reason) {
    case "url_refused":
      return { reason: "url_refused", sentence: refusal.sentence };
    case "blank":
    case "foreign":
      logAlert("endpoint refuses its owner", { reason: refusal.reason });
      return { reason: "system_unavailable" };
    default:
      return unreachable(refusal);
  }
}

export function settingsOf(row: KeptEndpoint): EndpointSettings {
  return {
    url: row.url,
    body:
      row.kind === null ? { format: "json", types: row.types } : { format: "form", kind: row.kind },
    devices: row.devices,
    allowHttp: row.allowHttp,
    enabled: row.enabled,
    retentionMs: row.textsKeptMs,
  };
}

/** Ids of the account's devices by waid. */
export async function deviceIds(
  db: D1Database,
  accountId: number,
): Promise<ReadonlyMap<string, string>> {
  const rows = await devicesOfAccount(db, accountId);
  return new Map(rows.map(({ waid, deviceId }) => [waid, deviceId]));
}

/** Null: one of them is no device of the account. */
export function idsOfWaids(
  ids: ReadonlyMap<string, string>,
  waids: readonly string[],
): string[] | null {
  const found = waids.map((waid) => ids.get(waid));
  return found.every((id) => id !== undefined) ? found : null;
}

/** Devices that were deleted since are left out. */
export function waidsOf(ids: ReadonlyMap<string, string>, row: KeptEndpoint): string[] | null {
  const { devices } = row;
  if (devices === null) return null;
  return [...ids].flatMap(([waid, id]) => (devices.includes(id) ? [waid] : []));
}
