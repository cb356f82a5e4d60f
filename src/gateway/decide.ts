/**
 * Getting a decision out of D1, also when its answer is lost. A commit that cannot be proved is never acted on,
 * and a refusal is never given while the commit may still happen: first a tombstone is written beside it, and if
 * D1 stays silent the device is told to drop whatever may come. Ids are never drawn anew here.
 */
import type { DeviceClient } from "../device/client.ts";
import { DeadlinePassed, withDeadline } from "../domain/deadline.ts";
import { errorFields, logAlert, logWarning } from "../domain/log.ts";
import { invariant } from "../domain/result.ts";
import {
  acceptExplained,
  proveAcceptance,
  type AcceptRequest,
  type AcceptTimes,
} from "./accept.ts";
import type { AcceptVerdict } from "./accept-verdict.ts";
import { askDevice } from "./ask-device.ts";
import { BatchFailed, NotAsked, type GroupCommit } from "./group-commit.ts";
import type { KnownDevices } from "./known-devices.ts";
import { retryFor, type RetryTools } from "./retry.ts";
import type { TombstonesRpc } from "../tombstones/interface.ts";

const ACCEPT_TIMEOUT_MS = 3_000;
/** After an error, not after silence: the same batch with the same ids, which finds what it wrote before. */
const ACCEPT_AGAIN_TIMEOUT_MS = 1_000;
const PROVE_TIMEOUT_MS = 1_500;
const ABANDON_TIMEOUT_MS = 1_000;
/** D1 takes no batch later than this, by its own clock. */
const DECIDE_WITHIN_MS = 8_000;
const KEEP_PROVING_MS = 30_000;

export interface DecideTools extends RetryTools {
  db: D1Database;
  devices: DeviceClient;
  knownDevices: KnownDevices;
  groupCommit: GroupCommit;
  tombstones: TombstonesRpc;
  /** Work that outlives the answer. */
  later: (work: Promise<unknown>) => void;
}

/** Null: nothing is known, and nothing of this request will be sent. */
export async function decide(
  tools: DecideTools,
  request: AcceptRequest,
): Promise<AcceptVerdict | null> {
  const nowMs = tools.clock();
  const times = { nowMs, decideByMs: nowMs + DECIDE_WITHIN_MS };
  const verdict = await decideOrProve(tools, request, times);
  if (verdict?.kind === "decided") tools.knownDevices.remember(verdict.device);
  return verdict;
}

async function decideOrProve(
  tools: DecideTools,
  request: AcceptRequest,
  times: AcceptTimes,
): Promise<AcceptVerdict | null> {
  for (const again of [false, true]) {
    try {
      return again
        ? await explain(tools, request, times, ACCEPT_AGAIN_TIMEOUT_MS)
        : await acceptOnce(tools, request, times);
    } catch (error) {
      // It was in no batch, and there is no room for another question about it.
      if (error instanceof NotAsked) return null;
      const fields = error instanceof BatchFailed ? error.fields : errorFields(error);
      logWarning("outcome of an accepting batch unknown", fields);
      if (error instanceof DeadlinePassed) break;
    }
  }
  try {
    const proof = proveAcceptance(tools.db, [request], times);
    return onlyVerdict(await withDeadline(proof, PROVE_TIMEOUT_MS));
  } catch (error) {
    logWarning("outcome of an accepting batch not proved", errorFields(error));
  }
  if (!(await abandonAtDevice(tools, request))) await bury(tools, request);
  tools.later(keepProving(tools, request, times));
  return null;
}

/** Explained at once where a refusal is likely. */
async function acceptOnce(
  tools: DecideTools,
  request: AcceptRequest,
  times: AcceptTimes,
): Promise<AcceptVerdict> {
  // Who asks for a device that nobody has sent by yet is often refused.
  const isNew = tools.knownDevices.find(request.waid) === null;
  if (isNew || request.messages.length === 0) {
    return explain(tools, request, times, ACCEPT_TIMEOUT_MS);
  }
  const untilMs = tools.clock() + ACCEPT_TIMEOUT_MS;
  const accepted = await tools.groupCommit.accept(tools, request, times, ACCEPT_TIMEOUT_MS);
  if (accepted !== null) return accepted;
  const leftMs = Math.max(ACCEPT_AGAIN_TIMEOUT_MS, untilMs - tools.clock());
  return explain(tools, request, times, leftMs);
}

/** What stands accepted from before is found. */
async function explain(
  { db }: DecideTools,
  request: AcceptRequest,
  times: AcceptTimes,
  timeoutMs: number,
): Promise<AcceptVerdict> {
  return onlyVerdict(await withDeadline(acceptExplained(db, [request], times), timeoutMs));
}

function onlyVerdict(verdicts: AcceptVerdict[]): AcceptVerdict {
  const [verdict] = verdicts;
  invariant(verdict !== undefined && verdicts.length === 1, "one request has one verdict");
  return verdict;
}

/** Answers whether the device will never send any of it. */
async function abandonAtDevice(tools: DecideTools, request: AcceptRequest): Promise<boolean> {
  const identity = tools.knownDevices.find(request.waid);
  const ids = request.messages.map((message) => message.id);
  if (ids.length === 0) return true;
  if (identity === null) return false;
  try {
    const abandoned = await askDevice(tools.devices, identity, ABANDON_TIMEOUT_MS, (devices) =>
      devices.abandon(identity, ids, request.nonce),
    );
    return abandoned.ok;
  } catch (error) {
    logWarning("device not reached to abandon messages", errorFields(error));
    return false;
  }
}

/** D1 says nothing and nobody knows the device: the cron must not bring it what the client was refused. */
async function bury(tools: DecideTools, request: AcceptRequest): Promise<void> {
  const { nonce } = request;
  try {
    await tools.tombstones.bury(request.messages.map(({ id }) => ({ id, nonce })));
  } catch (error) {
    logAlert("a refusal could not be remembered", { waid: request.waid, ...errorFields(error) });
  }
}

/** The client was told no. Until D1 says what it did, that may be untrue. */
async function keepProving(
  tools: DecideTools,
  request: AcceptRequest,
  times: AcceptTimes,
): Promise<void> {
  const proved = await retryFor(KEEP_PROVING_MS, tools, async () => {
    try {
      const proof = proveAcceptance(tools.db, [request], times);
      const verdict = onlyVerdict(await withDeadline(proof, PROVE_TIMEOUT_MS));
      return await abandonAccepted(tools, verdict, request.nonce);
    } catch (error) {
      logWarning("outcome of an accepting batch not proved", errorFields(error));
      return false;
    }
  });
  if (!proved) logAlert("outcome of an accepting batch never proved", { waid: request.waid });
}

async function abandonAccepted(
  tools: DecideTools,
  verdict: AcceptVerdict,
  nonce: string,
): Promise<boolean> {
  if (verdict.kind === "refused") return true;
  const ids = verdict.messages.flatMap((message) =>
    message.kind === "accepted" ? [message.message.id] : [],
  );
  if (ids.length === 0) return true;
  const answer = await askDevice(tools.devices, verdict.device, ABANDON_TIMEOUT_MS, (devices) =>
    devices.abandon(verdict.device, ids, nonce),
  );
  return answer.ok;
}
