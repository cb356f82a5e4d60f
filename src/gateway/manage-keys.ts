/**
 * An account's own API keys: who may use them, from where, how their texts are read. Any key of the account may
 * change any other. A change that shuts its own caller out is made, and said in a sentence.
 */
import { readAccess, type Access } from "../directory/access.ts";
import { createApiKey, type KeyBounds } from "../directory/api-keys.ts";
import {
  changeKey,
  keyOfAccount,
  keysOfAccount,
  replaceAddresses,
  replaceKey,
  revokeKey,
  type KeyRef,
  type KeySettings,
  type ManagedKey,
} from "../directory/managed-keys.ts";
import { drawApiKey, shownKeyPrefix, type KeyMode } from "../domain/api-key.ts";
import { addressText, type AddressRange } from "../domain/client-address.ts";
import { sha256Hex } from "../domain/digest.ts";
import type { RequestFailure } from "../domain/failure.ts";
import type { RandomBytes } from "../domain/id.ts";
import type { MessageCategory } from "../domain/message-status.ts";
import type { TextEncoding } from "../domain/message-text.ts";
import { err, invariant, ok, type Result } from "../domain/result.ts";
import type { Caller, DeviceTools } from "./device-answer.ts";

/** In use at once. */
const KEY_BOUNDS: KeyBounds = { inUseMax: 100, aDayMax: 200 };

export type KeyTools = Pick<DeviceTools, "db" | "clock"> & { random: RandomBytes };

export interface KeyAnswer extends ManagedKey {
  /** What the caller should know before it is too late; null when there is nothing. */
  warning: string | null;
}

/** The key itself is told here and never again. */
export interface NewKeyAnswer extends KeyAnswer {
  apiKey: string;
}

export interface OwnKey {
  name: string;
  mode: KeyMode;
  anyAddress: boolean;
  addresses: AddressRange[];
  encoding: TextEncoding;
  dedupeWindow: boolean;
  defaultCategory: MessageCategory;
}

export async function listKeys(
  tools: KeyTools,
  caller: Caller,
): Promise<Result<KeyAnswer[], RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const keys = await keysOfAccount(tools.db, access.value.accountId);
  return ok(keys.map((key) => withWarning(key, access.value, caller, tools.clock())));
}

export async function getKey(
  tools: KeyTools,
  caller: Caller,
  keyId: number,
): Promise<Result<KeyAnswer, RequestFailure>> {
  return changed(tools, caller, keyId, () => Promise.resolve());
}

export async function addKey(
  tools: KeyTools,
  caller: Caller,
  wish: OwnKey,
): Promise<Result<NewKeyAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const { accountId } = access.value;
  const apiKey = drawApiKey(tools.random, wish.mode);
  const hash = await sha256Hex(apiKey);
  const key = { ...wish, accountId, hash, shownPrefix: shownKeyPrefix(apiKey) };
  const id = await createApiKey(tools.db, { ...key, nowMs: tools.clock() }, KEY_BOUNDS);
  if (id === null) return err({ reason: "too_many_keys", ...KEY_BOUNDS });
  return newKeyAnswer(tools, caller, access.value, id, apiKey);
}

export function changeOwnKey(
  tools: KeyTools,
  caller: Caller,
  keyId: number,
  settings: KeySettings,
): Promise<Result<KeyAnswer, RequestFailure>> {
  return changed(tools, caller, keyId, (ref) => changeKey(tools.db, ref, settings));
}

/** `anyAddress` null: as it was. */
export function setAddresses(
  tools: KeyTools,
  caller: Caller,
  keyId: number,
  list: { addresses: AddressRange[]; anyAddress: boolean | null },
): Promise<Result<KeyAnswer, RequestFailure>> {
  return changed(tools, caller, keyId, (ref, key) =>
    replaceAddresses(tools.db, ref, {
      addresses: list.addresses,
      anyAddress: list.anyAddress ?? key.anyAddress,
    }),
  );
}

export function revokeOwnKey(
  tools: KeyTools,
  caller: Caller,
  keyId: number,
): Promise<Result<KeyAnswer, RequestFailure>> {
  return changed(tools, caller, keyId, (ref) => revokeKey(tools.db, ref));
}

/** A new key with the settings of the old one, which stays valid for `overlapMs`. */
export async function rollKey(
  tools: KeyTools,
  caller: Caller,
  keyId: number,
  overlapMs: number,
): Promise<Result<NewKeyAnswer, RequestFailure>> {
  const nowMs = tools.clock();
  const access = await readAccess(tools.db, { ...caller, waid: null }, nowMs);
  if (!access.ok) return access;
  const ref = { accountId: access.value.accountId, keyId };
  const old = await keyOfAccount(tools.db, ref);
  if (old === null || !isInUse(old, nowMs)) return err({ reason: "api_key_unknown" });
  const apiKey = drawApiKey(tools.random, old.mode);
  const successor = {
    hash: await sha256Hex(apiKey),
    shownPrefix: shownKeyPrefix(apiKey),
    nowMs,
    oldValidUntilMs: nowMs + overlapMs,
    bounds: KEY_BOUNDS,
  };
  const id = await replaceKey(tools.db, ref, successor);
  if (id === null) return err({ reason: "too_many_keys", ...KEY_BOUNDS });
  return newKeyAnswer(tools, caller, access.value, id, apiKey);
}

async function newKeyAnswer(
  tools: KeyTools,
  caller: Caller,
  access: Access,
  keyId: number,
  apiKey: string,
): Promise<Result<NewKeyAnswer, RequestFailure>> {
  const key = await keyOfAccount(tools.db, { accountId: access.accountId, keyId });
  invariant(key !== null, "a key that was made is there");
  return ok({ ...withWarning(key, access, caller, tools.clock()), apiKey });
}

/** Changes a key of the account and answers how it stands then. */
async function changed(
  tools: KeyTools,
  caller: Caller,
  keyId: number,
  change: (ref: KeyRef, key: ManagedKey) => Promise<void>,
): Promise<Result<KeyAnswer, RequestFailure>> {
  const access = await readAccess(tools.db, { ...caller, waid: null }, tools.clock());
  if (!access.ok) return access;
  const ref = { accountId: access.value.accountId, keyId };
  const before = await keyOfAccount(tools.db, ref);
  if (before === null) return err({ reason: "api_key_unknown" });
  await change(ref, before);
  const after = (await keyOfAccount(tools.db, ref)) ?? before;
  return ok(withWarning(after, access.value, caller, tools.clock()));
}

function withWarning(key: ManagedKey, access: Access, caller: Caller, nowMs: number): KeyAnswer {
  return { ...key, warning: warningOf(key, access.keyId === key.id, caller.address, nowMs) };
}

function warningOf(
  key: ManagedKey,
  isCallers: boolean,
  address: string | null,
  nowMs: number,
): string | null {
  if (key.revoked) return isCallers ? "This request was the last one with this key." : null;
  if (!isInUse(key, nowMs) || key.anyAddress) return null;
  if (key.addresses.length === 0) return "No address may use this key: its list is empty.";
  const isAllowed =
    address !== null && key.addresses.some(({ low, high }) => low <= address && address <= high);
  if (!isCallers || isAllowed) return null;
  const from = address === null ? "an unknown address" : addressText(address);
  return `This request came with this key from ${from}, which may not use it any more.`;
}

function isInUse(key: ManagedKey, nowMs: number): boolean {
  return !key.revoked && (key.validUntilMs === null || key.validUntilMs > nowMs);
}
