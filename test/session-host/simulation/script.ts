/** What may happen in a run, as fast-check draws and shrinks it. */
import fc from "fast-check";
import type { WireKind, WireTrouble } from "./network.ts";

type Act =
  | { do: "send"; contact: number; count: number }
  | { do: "write"; contact: number }
  | { do: "askAgain"; pick: number }
  | { do: "place"; host: number; isOld: boolean }
  | { do: "repeat"; host: number; ago: number }
  | { do: "withdraw"; host: number }
  | { do: "freeze"; host: number; ms: number; isSuspend: boolean }
  | { do: "stall"; host: number; points: number; ms: number; isSuspend: boolean }
  | { do: "jump"; host: number; ms: number }
  | { do: "wire"; host: number; kind: WireKind; how: WireTrouble; delayMs: number }
  | { do: "kill"; host: number }
  | { do: "stop"; host: number }
  | { do: "device"; how: "evict" | "crash" }
  | { do: "mute"; isMute: boolean }
  | { do: "hangUp"; code: number };

export type Step = Act & { thenMs: number };

const host = fc.nat(2);
const contact = fc.nat(3);
const stopMs = fc.constantFrom(300, 4_000, 5_100, 7_000, 20_000, 70_000);

function act<D extends Act["do"]>(
  name: D,
  weight: number,
  fields: {
    [K in Exclude<keyof Extract<Act, { do: D }>, "do">]: fc.Arbitrary<Extract<Act, { do: D }>[K]>;
  },
): fc.WeightedArbitrary<Act> {
  return {
    weight,
    arbitrary: fc.record({ do: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<Act>,
  };
}

const anyAct: fc.Arbitrary<Act> = fc.oneof(
  act("send", 16, { contact, count: fc.integer({ min: 1, max: 4 }) }),
  act("write", 10, { contact }),
  act("askAgain", 2, { pick: fc.nat(20) }),
  act("place", 5, { host, isOld: fc.boolean() }),
  act("repeat", 1, { host, ago: fc.nat(3) }),
  act("withdraw", 1, { host }),
  act("freeze", 4, { host, ms: stopMs, isSuspend: fc.boolean() }),
  act("stall", 5, {
    host,
    points: fc.integer({ min: 1, max: 40 }),
    ms: stopMs,
    isSuspend: fc.boolean(),
  }),
  act("jump", 2, { host, ms: fc.constantFrom(-60_000, -3_000, 4_000, 60_000) }),
  act("wire", 10, {
    host,
    kind: fc.constantFrom("bridge", "control", "whatsapp"),
    how: fc.constantFrom("stalled", "cut", "down", "slow", "well", "well"),
    delayMs: fc.constantFrom(50, 400, 3_000),
  }),
  act("kill", 2, { host }),
  act("stop", 1, { host }),
  act("device", 2, { how: fc.constantFrom("evict", "crash") }),
  act("mute", 2, { isMute: fc.boolean() }),
  act("hangUp", 1, { code: fc.constantFrom(503, 515) }),
);

export const anyScript: fc.Arbitrary<Step[]> = fc.array(
  fc
    .tuple(anyAct, fc.constantFrom(0, 1, 7, 30, 200, 1_000, 3_000, 6_000))
    .map(([one, thenMs]) => ({ ...one, thenMs })),
  { minLength: 4, maxLength: 30, size: "max" },
);
