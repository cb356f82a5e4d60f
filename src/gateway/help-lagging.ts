/**
 * What the cron does about lagging messages: gives the device the text that it may not have, forgets the text in
 * D1 once the device has it, wakes devices whose messages are overdue (alarms can be lost), and calls a person
 * when one should have ended. Ends nothing itself.
 */
import type { DeviceClient } from "../device/client.ts";
import type { DeviceIdentity, MessageToEnqueue } from "../device/interface.ts";
import { askD1 } from "../db/ask.ts";
import { withDeadline } from "../domain/deadline.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { askDevice } from "./ask-device.ts";
import type { TombstonesRpc } from "../tombstones/interface.ts";
import type { BodySeal } from "./body-seal.ts";
import { FORGET_BODIES, type LaggingText, type OverdueDevice } from "./cron-sql.ts";
import type { Lagging } from "./find-lagging.ts";
import { tryToHand } from "./hand-to-device.ts";

const CALL_TIMEOUT_MS = 5_000;
const DEVICES_AT_ONCE = 6;
const MESSAGES_A_CALL_MAX = 50;

export interface HelpTools {
  db: D1Database;
  devices: DeviceClient;
  seal: BodySeal;
  tombstones: TombstonesRpc;
}

/** What is to be done for one device. */
interface Case {
  identity: DeviceIdentity;
  texts: LaggingText[];
  isOverdue: boolean;
}

export async function helpLagging(tools: HelpTools, lagging: Lagging): Promise<void> {
  const overlong = lagging.overdue.filter((device) => device.overlong > 0);
  if (overlong.length > 0) {
    logAlert("messages past their last moment", {
      count: overlong.reduce((sum, device) => sum + device.overlong, 0),
      firstMessageId: overlong[0]?.first_overlong ?? null,
    });
  }
  const waiting = casesOf(lagging);
  const worker = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await helpDevice(tools, next);
    }
  };
  await Promise.all(Array.from({ length: DEVICES_AT_ONCE }, worker));
}

function casesOf({ texts, overdue }: Lagging): Case[] {
  const cases = new Map<string, Case>();
  const caseOf = ({
    device_id: deviceId,
    account_id: accountId,
    waid,
  }: OverdueDevice | LaggingText) => {
    const known = cases.get(deviceId);
    if (known !== undefined) return known;
    const made = { identity: { deviceId, accountId, waid }, texts: [], isOverdue: false };
    cases.set(deviceId, made);
    return made;
  };
  for (const text of texts) caseOf(text).texts.push(text);
  for (const device of overdue) caseOf(device).isOverdue = true;
  return [...cases.values()];
}

async function helpDevice(tools: HelpTools, { identity, texts, isOverdue }: Case): Promise<void> {
  for (let start = 0; start < texts.length; start += MESSAGES_A_CALL_MAX) {
    await handAgain(tools, identity, texts.slice(start, start + MESSAGES_A_CALL_MAX));
  }
  if (isOverdue) await wake(tools, identity);
}

async function handAgain(
  tools: HelpTools,
  identity: DeviceIdentity,
  rows: LaggingText[],
): Promise<void> {
  const messages = (await Promise.all(rows.map((row) => openMessage(tools.seal, row)))).filter(
    (message) => message !== null,
  );
  if (messages.length === 0) return;
  if (!(await dropRefused(tools, identity, rows))) return;
  const verdicts = await tryToHand(tools.devices, identity, messages, CALL_TIMEOUT_MS);
  if (verdicts === null) return;
  const ids = JSON.stringify([...verdicts.keys()]);
  await askD1("forget_bodies", () => tools.db.prepare(FORGET_BODIES).bind(ids).run());
}

/** What a client was refused is withdrawn before it is handed over. False: it cannot be told yet what was. */
async function dropRefused(
  { devices, tombstones }: HelpTools,
  identity: DeviceIdentity,
  rows: LaggingText[],
): Promise<boolean> {
  try {
    const refused = await tombstones.find(rows.map(({ id, nonce }) => ({ id, nonce })));
    if (refused.length === 0) return true;
    const dropped = await askDevice(devices, identity, CALL_TIMEOUT_MS, (device) =>
      device.abandon(identity, refused),
    );
    return dropped.ok;
  } catch (error) {
    logWarning("refused messages not dropped", { waid: identity.waid, ...errorFields(error) });
    return false;
  }
}

async function openMessage(seal: BodySeal, row: LaggingText): Promise<MessageToEnqueue | null> {
  try {
    return {
      id: row.id,
      nonce: row.nonce,
      to: row.recipient,
      text: await seal.open(row, row.body),
      category: row.category,
      priceRupiah: row.price_rupiah,
      periodId: row.period_id,
      acceptedMs: row.accepted_ms,
      dueMs: row.due_ms,
      expiresMs: row.expires_ms,
    };
  } catch (error) {
    logAlert("a sealed text does not open", { messageId: row.id, ...errorFields(error) });
    return null;
  }
}

async function wake(tools: HelpTools, identity: DeviceIdentity): Promise<void> {
  try {
    await withDeadline(tools.devices.poke(identity.deviceId), CALL_TIMEOUT_MS);
  } catch (error) {
    logWarning("device not woken", { waid: identity.waid, ...errorFields(error) });
  }
}
