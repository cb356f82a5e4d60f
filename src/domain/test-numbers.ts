/**
 * The documented numbers by which a test key gets any answer and any status (docs/test-keys.md). With a live key they
 * are numbers like others. Pure data and a look-up; refuses to know what a wire calls an answer.
 */
import type { MessageFailure, RequestFailure } from "./failure.ts";
import type { MessageReason, MessageStatus } from "./message-status.ts";

/** A status that a test message takes so long after it was due. */
export interface TestStep {
  status: MessageStatus;
  reason: MessageReason | null;
  afterMs: number;
}

const HANDED_OVER: TestStep = { status: "pending", reason: "handed_over", afterMs: 1_000 };
const SENT: TestStep = { status: "sent", reason: null, afterMs: 2_000 };
const RECEIVED: TestStep = { status: "received", reason: null, afterMs: 4_000 };
const READ: TestStep = { status: "read", reason: null, afterMs: 8_000 };

/** What becomes of a text to any other number. */
const USUAL_STEPS: readonly TestStep[] = [HANDED_OVER, SENT, RECEIVED];

const STEPS: ReadonlyMap<string, readonly TestStep[]> = new Map([
  ["6281200000010", [HANDED_OVER, SENT]],
  ["6281200000020", [HANDED_OVER, SENT, RECEIVED]],
  ["6281200000030", [HANDED_OVER, SENT, RECEIVED, READ]],
  ["6281200000040", [HANDED_OVER, { status: "reject", reason: "not_on_whatsapp", afterMs: 3_000 }]],
  [
    "6281200000050",
    [HANDED_OVER, { status: "reject", reason: "refused_by_whatsapp", afterMs: 3_000 }],
  ],
  ["6281200000060", [{ status: "cancel", reason: "expired", afterMs: 5_000 }]],
  ["6281200000070", []],
]);

/** By number; `usual` for any other. */
export const TEST_STEPS: Readonly<Record<string, readonly TestStep[]>> = {
  ...Object.fromEntries(STEPS),
  usual: USUAL_STEPS,
};

/** After so long nothing becomes of a test message any more. */
export const TEST_STEPS_END_MS = Math.max(
  ...Object.values(TEST_STEPS).flatMap((steps) => steps.map(({ afterMs }) => afterMs)),
);

export function testSteps(to: string): readonly TestStep[] {
  return STEPS.get(to) ?? USUAL_STEPS;
}

/** How long after its due time a test message to such a number ends without having been sent. */
export const TEST_UNSENT_AFTER_MS: Readonly<Record<string, number>> = Object.fromEntries(
  [...STEPS].flatMap(([to, steps]) => {
    const last = steps.at(-1);
    const endsUnsent = last?.status === "reject" || last?.status === "cancel";
    return endsUnsent ? [[to, last.afterMs]] : [];
  }),
);

const PACKET_FAILURES = new Map<string, MessageFailure>([
  ["6281200000160", { reason: "number_invalid" }],
  ["6281200000170", { reason: "text_invalid", detail: "forced" }],
  ["6281200000171", { reason: "time_invalid" }],
  ["6281200000172", { reason: "recipient_opted_out" }],
  ["6281200000180", { reason: "balance_short" }],
  ["6281200000181", { reason: "quota_used_up" }],
  ["6281200000190", { reason: "device_unavailable" }],
]);

/** Refuses one packet, with a test key. */
export function testPacketFailure(to: string): MessageFailure | null {
  return PACKET_FAILURES.get(to) ?? null;
}

const REQUEST_FAILURES = new Map<string, RequestFailure>([
  ["6281200000130", { reason: "key_unknown", isForced: true }],
  ["6281200000140", { reason: "address_not_allowed", address: "" }],
  ["6281200000150", { reason: "balance_expired" }],
  ["6281200000151", { reason: "package_expired" }],
]);

/** Refuses the whole request that holds such a number, with a test key. */
export function testRequestFailure(numbers: readonly string[]): RequestFailure | null {
  for (const to of numbers) {
    const failure = REQUEST_FAILURES.get(to);
    if (failure !== undefined) return failure;
  }
  return null;
}
