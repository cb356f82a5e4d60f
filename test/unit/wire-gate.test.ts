/** The gate before the WhatsApp wire: order, commits before frames, and nothing after the first that may not leave. */
import { describe, expect, it } from "vitest";
import { WireGate } from "../../session-host/baileys/wire-gate.ts";
import type { WireGateOptions } from "../../session-host/baileys/wire-gate.ts";

interface Rig {
  socket: { send(frame: string, written?: () => void): void };
  wire: string[];
  written: string[];
  forbidden: number;
  mayAct: boolean;
  /** For the next frame. */
  barrier: Promise<void> | null;
  give(frame: string): void;
}

function rig(): Rig {
  const wire: string[] = [];
  const socket = { send: (frame: string) => void wire.push(frame) } as Rig["socket"];
  const made: Rig = {
    socket,
    wire,
    written: [],
    forbidden: 0,
    mayAct: true,
    barrier: null,
    give: (frame) => socket.send(frame, () => void made.written.push(frame)),
  };
  const options: WireGateOptions = {
    barrier: () => made.barrier,
    mayAct: () => made.mayAct,
    forbid: () => {
      made.forbidden += 1;
    },
  };
  new WireGate(options).guard({ socket } as unknown as Parameters<WireGate["guard"]>[0]);
  return made;
}

/** All that is ready has run. */
async function settled(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("the gate before the wire", () => {
  it("lets a frame that waits for nothing out at once", () => {
    const gate = rig();
    gate.give("ping");
    expect(gate.wire).toEqual(["ping"]);
  });

  it("keeps a frame until its commit is durable, and all later ones behind it", async () => {
    const gate = rig();
    const commit = Promise.withResolvers<void>();
    gate.barrier = commit.promise;
    gate.give("text");
    gate.barrier = null;
    gate.give("ping");
    await settled();
    expect(gate.wire).toEqual([]);
    expect(gate.written).toEqual(["text", "ping"]);
    commit.resolve();
    await settled();
    expect(gate.wire).toEqual(["text", "ping"]);
    gate.give("later");
    expect(gate.wire).toEqual(["text", "ping", "later"]);
  });

  it("asks at the moment of leaving whether this host still may", async () => {
    const gate = rig();
    const commit = Promise.withResolvers<void>();
    gate.barrier = commit.promise;
    gate.give("text");
    gate.mayAct = false;
    commit.resolve();
    await settled();
    expect(gate.wire).toEqual([]);
    expect(gate.forbidden).toBe(1);
    // Awake again: the frames behind it would have a hole before them.
    gate.mayAct = true;
    gate.barrier = null;
    gate.give("late");
    expect(gate.wire).toEqual([]);
  });

  it("lets nothing out after a commit that failed", async () => {
    const gate = rig();
    const commit = Promise.withResolvers<void>();
    gate.barrier = commit.promise;
    gate.give("text");
    gate.barrier = null;
    gate.give("ping");
    commit.reject(new Error("refused"));
    await settled();
    gate.give("late");
    expect(gate.wire).toEqual([]);
    expect(gate.forbidden).toBe(1);
  });

  it("gives up when ever more frames wait", () => {
    const gate = rig();
    gate.barrier = new Promise(() => undefined);
    for (let count = 0; count <= 2_001; count += 1) gate.give(`frame ${count}`);
    expect(gate.forbidden).toBe(1);
    expect(gate.wire).toEqual([]);
  });

  it("refuses a client whose socket it cannot stand before", () => {
    const gate = new WireGate({ barrier: () => null, mayAct: () => true, forbid: () => undefined });
    const client = { socket: null } as unknown as Parameters<WireGate["guard"]>[0];
    expect(() => gate.guard(client)).toThrow("no socket to guard");
  });
});
