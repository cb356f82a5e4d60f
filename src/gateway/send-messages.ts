/**
 * Sending: parsed packets in, one answer each out. One D1 batch decides and pays, one call gives the accepted ones
 * to their device; neither waits for WhatsApp. Used by every api; knows no wire.
 */
import type { KeyMode } from "../domain/api-key.ts";
import type { DeviceIdentity, EnqueueVerdict, MessageToEnqueue } from "../device/interface.ts";
import type { MessageFailure, RequestFailure } from "../domain/failure.ts";
import { drawMessageIds, randomHex } from "../domain/id.ts";
import type { MessageReason } from "../domain/message-status.ts";
import { fitsNoKey } from "../domain/message-text.ts";
import { err, invariant, ok, type Result } from "../domain/result.ts";
import type { AcceptedMessage, MessageVerdict } from "./accept-verdict.ts";
import type { RepeatMark } from "./accept.ts";
import { decide, type DecideTools } from "./decide.ts";
import { forcedByNumbers } from "./forced-failures.ts";
import { handToDevice } from "./hand-to-device.ts";
import { prepareMessage, type PrepareTools, type SendPacket } from "./prepare-message.ts";
import { decideTest } from "./test-accept.ts";

export interface SendRequest {
  keyHash: string;
  /** What the key looks like; D1 knows what it is, and takes no key for what it is not. */
  keyMode: KeyMode;
  /** Fixed-width hex; null when the caller's address is not known. */
  address: string | null;
  waid: string;
  /** In request order; what the wire already refused stands as its failure. */
  packets: Result<SendPacket, MessageFailure>[];
  packetsMax: number;
  /** The caller's own name for a request of one message: under it the same request is accepted once in 24 hours. */
  repeatKey?: string;
}

export type SentMessage = Omit<AcceptedMessage, "nonce" | "periodId"> & {
  /** Accepted when the same request came before under the same key. */
  isRepeat: boolean;
};

export type PacketAnswer = Result<SentMessage, MessageFailure>;

export type SendTools = DecideTools & PrepareTools;

/** A packet on its way through. */
interface Draft {
  index: number;
  packet: SendPacket;
  supersedes: number | null;
}

/** New ids are drawn this often when they turn out to be another message's. */
const DRAWS_MAX = 3;

/** Refuses the whole request, or answers each packet in request order. */
export async function sendMessages(
  tools: SendTools,
  request: SendRequest,
): Promise<Result<PacketAnswer[], RequestFailure>> {
  const count = request.packets.length;
  const tooMany = count > request.packetsMax;
  const isTest = request.keyMode === "test";
  const { failure, packets } = isTest
    ? forcedByNumbers(request.packets)
    : { failure: null, packets: request.packets };
  const sendable = packets.map(unlessHopeless);
  const answers: (PacketAnswer | null)[] = sendable.map((packet) => (packet.ok ? null : packet));
  let drafts: Draft[] = sendable.flatMap((packet, index) =>
    packet.ok && !tooMany && failure === null
      ? [{ index, packet: packet.value, supersedes: null }]
      : [],
  );
  do {
    const round = await sendRound(tools, request, drafts);
    if (!round.ok) return round;
    if (failure !== null) return err(failure);
    if (tooMany) return err({ reason: "too_many_messages", count, max: request.packetsMax });
    for (const { index, answer } of round.value.answers) answers[index] = answer;
    drafts = round.value.replays;
  } while (drafts.length > 0);
  return ok(
    answers.map((answer) => {
      invariant(answer !== null, "every packet is answered");
      return answer;
    }),
  );
}

/** D1 is not asked about a text that it could only refuse. */
function unlessHopeless(
  packet: Result<SendPacket, MessageFailure>,
): Result<SendPacket, MessageFailure> {
  if (!packet.ok || !fitsNoKey(packet.value.text)) return packet;
  return err({ reason: "text_invalid", detail: "length" });
}

interface Round {
  answers: { index: number; answer: PacketAnswer }[];
  /** Equal messages that ended unsent: to be accepted after all, once. */
  replays: Draft[];
}

async function sendRound(
  tools: SendTools,
  request: SendRequest,
  drafts: Draft[],
): Promise<Result<Round, RequestFailure>> {
  const decided = await decideDrafts(tools, request, drafts);
  if (!decided.ok) return decided;
  const { device, verdicts } = decided.value;
  const verdictsOfDevice =
    request.keyMode === "test"
      ? new Map<number, EnqueueVerdict>()
      : await handToDevice(tools, device, messagesToEnqueue(verdicts));
  const round: Round = { answers: [], replays: [] };
  for (const { draft, verdict } of verdicts) {
    const answer = packetAnswer(verdict, verdictsOfDevice);
    const stood = verdict.kind === "duplicate" || verdict.kind === "repeated";
    const endedUnsent = stood && !answer.ok && draft.supersedes === null;
    if (endedUnsent) round.replays.push({ ...draft, supersedes: verdict.message.id });
    else round.answers.push({ index: draft.index, answer });
  }
  return ok(round);
}

interface DecidedDraft {
  draft: Draft;
  verdict: MessageVerdict;
}

/** Also without drafts: then only what concerns the whole request is decided. */
async function decideDrafts(
  tools: SendTools,
  request: SendRequest,
  drafts: Draft[],
): Promise<Result<{ device: DeviceIdentity; verdicts: DecidedDraft[] }, RequestFailure>> {
  const verdicts: DecidedDraft[] = [];
  let open = drafts;
  for (let draw = 1; ; draw += 1) {
    const asked = await acceptRequest(tools, request, open);
    const decision = await (request.keyMode === "test" ? decideTest : decide)(tools, asked);
    if (decision === null) return err({ reason: "system_unavailable" });
    if (decision.kind === "refused") return err(decision.failure);
    const now = open.map((draft, position) => {
      const verdict = decision.messages[position];
      invariant(verdict !== undefined, "every message has a verdict");
      return { draft, verdict };
    });
    const taken = draw < DRAWS_MAX ? now.filter(({ verdict }) => verdict.kind === "id_taken") : [];
    verdicts.push(...now.filter((entry) => !taken.includes(entry)));
    if (taken.length === 0) return ok({ device: decision.device, verdicts });
    open = taken.map(({ draft }) => draft);
  }
}

async function acceptRequest(tools: SendTools, request: SendRequest, drafts: Draft[]) {
  const { keyHash, address, waid } = request;
  const nonce = randomHex(tools.random, 16);
  const ids = drafts.length === 0 ? [] : drawMessageIds(tools.clock(), drafts.length, tools.random);
  const messages = await Promise.all(
    drafts.map(({ packet, supersedes }, position) => {
      const id = ids[position];
      invariant(id !== undefined, "every draft has an id");
      return prepareMessage(tools, { id, nonce }, waid, packet, supersedes);
    }),
  );
  return { nonce, keyHash, address, waid, messages, repeat: await repeatMark(tools, request) };
}

async function repeatMark(
  { fingerprint }: SendTools,
  { repeatKey, waid, packets }: SendRequest,
): Promise<RepeatMark | null> {
  const [first] = packets;
  if (repeatKey === undefined || first?.ok !== true) return null;
  invariant(packets.length === 1, "a request that may be repeated has one message");
  const { to, text, time, category, lifeMs } = first.value;
  const said = [waid, to, text.plain, JSON.stringify(time), category, lifeMs];
  const [key, print] = await Promise.all([
    fingerprint.repeatKey(repeatKey),
    fingerprint.repeatPrint(said),
  ]);
  return { key, print };
}

/** A duplicate is handed over as well: its first request may still be in flight, and both must hear the same. */
function messagesToEnqueue(verdicts: DecidedDraft[]): MessageToEnqueue[] {
  const messages = new Map<number, MessageToEnqueue>();
  for (const { draft, verdict } of verdicts) {
    if (verdict.kind === "refused" || verdict.kind === "id_taken") continue;
    const { plain, decoded } = draft.packet.text;
    const text = verdict.takesDecoded ? decoded : plain;
    invariant(text !== null, "an accepted reading exists");
    messages.set(verdict.message.id, { ...verdict.message, text });
  }
  return [...messages.values()];
}

function packetAnswer(
  verdict: MessageVerdict,
  verdictsOfDevice: Map<number, EnqueueVerdict> | null,
): PacketAnswer {
  if (verdict.kind === "refused") return err(verdict.failure);
  if (verdict.kind === "id_taken") return err({ reason: "system_unavailable" });
  const { id } = verdict.message;
  const isRepeat = verdict.kind === "repeated";
  const stands = verdictsOfDevice?.get(id);
  const endedUnsent = stands?.status === "cancel" || stands?.status === "reject";
  // What was accepted and ended later was accepted: only what was never taken is judged anew.
  if (endedUnsent && (!isRepeat || wasNeverTaken(stands))) {
    return err(failureOf(stands.reason));
  }
  return ok(sentMessage(verdict.message, isRepeat));
}

function sentMessage(message: AcceptedMessage, isRepeat: boolean): SentMessage {
  const { id, to, category, priceRupiah, acceptedMs, dueMs, expiresMs } = message;
  return { id, to, category, priceRupiah, acceptedMs, dueMs, expiresMs, isRepeat };
}

/** Ends that a device gives a message instead of taking it over. */
function wasNeverTaken({ status, reason }: EnqueueVerdict): boolean {
  // WhatsApp refuses with the same reason what it was given; that is a `reject`.
  if (reason === "account_restricted") return status === "cancel";
  return reason === "abandoned" || reason === "stale" || reason === "queue_too_long";
}

/** Why a device would not take a message at all. */
function failureOf(reason: MessageReason | null): MessageFailure {
  if (reason === "opted_out") return { reason: "recipient_opted_out" };
  if (reason === "abandoned") return { reason: "system_unavailable" };
  const isTold = reason === "queue_too_long" || reason === "account_restricted";
  return { reason: isTold ? reason : "device_unavailable" };
}
