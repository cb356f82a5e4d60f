/** Crossings that fail: a bridge frame that is not written, a Fleet or D1 that does not answer, pacing on. */
import { env, runInDurableObject } from "cloudflare:test";
import { afterEach, expect, it, vi } from "vitest";
import type { Device } from "../../src/device/device.ts";
import { buildParts } from "../../src/device/parts.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { systemRandomBytes } from "../../src/domain/id.ts";
import {
  enqueue,
  holdInBooks,
  messageTo,
  newDevice,
  pairedHost,
  passTime,
  resume,
  rowsOf,
  statusOf,
  type TestDevice,
  unwrap,
  untilBooked,
} from "./device-support.ts";

afterEach(() => {
  setSaboteur(null);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

type When = "before" | "after";

/** The first crossing of this name fails, before or after it took effect; answers the names seen. */
function failOnce(name: string, when: When): string[] {
  vi.spyOn(console, "warn").mockReturnValue();
  const seen: string[] = [];
  let isArmed = true;
  setSaboteur(async (crossing, call) => {
    seen.push(crossing.name);
    if (crossing.name !== name || !isArmed) return call();
    isArmed = false;
    if (when === "after") await call();
    throw new Error("sabotaged");
  });
  return seen;
}

it.each<When>(["before", "after"])(
  "a command lost %s it was written reaches the host once after its resume",
  async (when) => {
    const device = await newDevice();
    const host = await pairedHost(device);
    const message = messageTo();
    failOnce("device.command", when);
    await enqueue(device, message);
    expect(await host.untilClosed()).toBe(4003);
    const got = when === "after" ? await host.command("send") : null;
    const back = await resume(device, host);
    const command = got ?? (await back.command("send"));
    expect(command).toMatchObject({ messageId: message.id, attempt: 1 });
    expect(await back.commitFor(command)).toBe("committed");
    expect(back.here("command")).toEqual([]);
  },
);

it.each<When>(["before", "after"])(
  "a commit whose answer is lost %s it was written counts once",
  async (when) => {
    const device = await newDevice();
    const host = await pairedHost(device);
    const message = messageTo();
    await enqueue(device, message);
    const command = await host.command("send");
    failOnce("device.keys_committed", when);
    const forMessages = [{ messageId: message.id, attempt: 1 }];
    host.say({
      t: "keys_commit",
      seq: 3,
      rows: [{ type: "session", id: "a", value: "1" }],
      forMessages,
      inbound: [],
    });
    await host.untilClosed();
    const back = await resume(device, host);
    expect(back.welcome?.keysSeq).toBe(3);
    expect(
      await back.commit({ seq: 3, rows: [{ type: "session", id: "a", value: "1" }], forMessages }),
    ).toBe("committed");
    await back.ack(command);
    expect(await statusOf(device, message.id)).toBe("sent");
  },
);

it.each<When>(["before", "after"])(
  "a flush that fails %s the books took it is told again and moves money once",
  async (when) => {
    const device = await newDevice();
    const host = await pairedHost(device);
    const message = messageTo();
    await holdInBooks(device, message);
    const seen = failOnce("record_ends", when);
    await enqueue(device, message);
    const command = await host.command("send");
    await host.commitFor(command);
    await host.ack(command);
    await vi.waitFor(() => expect(seen).toContain("record_ends"));
    await vi.waitFor(async () => {
      await passTime(device, 1_000);
      expect(await rowsOf(device, "SELECT id FROM outbox WHERE money_dirty = 1")).toEqual([]);
    });
    await untilBooked(message.id, ["hold", "settle"]);
  },
);

it("a Fleet that does not answer is asked again", async () => {
  const device = await newDevice();
  const seen = failOnce("fleet.want", "before");
  await unwrap(device.stub.pair(device.identity, null));
  const asked = () => seen.filter((name) => name === "fleet.want").length;
  await vi.waitFor(() => expect(asked()).toBe(1));
  await passTime(device, 20_000);
  await vi.waitFor(() => expect(asked()).toBe(2));
});

it("a device without a bridge asks the Fleet after 15 seconds, and is released when its phone is gone", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  const seen = failOnce("nothing", "before");
  host.hangUp();
  await host.untilClosed();
  expect(await unwrap(device.stub.view(device.identity))).toMatchObject({ status: "connected" });
  expect(seen).not.toContain("fleet.want");
  await passTime(device, 16_000);
  await vi.waitFor(() => expect(seen).toContain("fleet.want"));
  expect(await unwrap(device.stub.view(device.identity))).toMatchObject({ status: "reconnecting" });
  await unwrap(device.stub.unpair(device.identity));
  await vi.waitFor(() => expect(seen).toContain("fleet.release"));
});

it("a session that outlived the loss of its bridge serves on after the resume", async () => {
  const device = await newDevice();
  const host = await pairedHost(device);
  host.hangUp();
  await host.untilClosed();
  await passTime(device, 16_000);
  const status = async () => (await unwrap(device.stub.view(device.identity))).status;
  await vi.waitFor(async () => expect(await status()).toBe("reconnecting"));
  const message = messageTo();
  await enqueue(device, message);
  const back = await resume(device, host);
  expect((await back.command("send")).messageId).toBe(message.id);
  expect(await status()).toBe("connected");
  await back.closeSession("lost");
  const again = await resume(device, back);
  await enqueue(device, messageTo("6281234500001"));
  expect(await status()).toBe("reconnecting");
  expect(again.here("command")).toEqual([]);
});

/** The same object's storage under pacing; no alarm, so time is this test's. */
async function withPacing(
  device: TestDevice,
  work: (parts: ReturnType<typeof buildParts>) => void,
): Promise<void> {
  await runInDurableObject(device.stub, (_device: Device, ctx) => {
    const paced = { ...env, PACING: "on" };
    const background = (running: Promise<void>): void => ctx.waitUntil(running);
    work(
      buildParts({
        ctx,
        env: paced,
        clock: () => Date.now(),
        random: systemRandomBytes,
        background,
      }),
    );
  });
}

it("with pacing on, messages go one by one with a pause between", async () => {
  const device = await newDevice();
  await pairedHost(device);
  await withPacing(device, ({ messages, handOver, outbox }) => {
    const queued = Array.from({ length: 4 }, (_, index) => messageTo(`628123450000${index}`));
    const startMs = Date.now();
    messages.enqueue(queued, startMs);
    const handed: number[] = [];
    for (let nowMs = startMs; nowMs < startMs + 60_000; nowMs += 100) {
      const before = outbox.undecided().length;
      handOver.pump(nowMs);
      if (nowMs === startMs || outbox.undecided().length > before) handed.push(nowMs);
    }
    expect(handed).toHaveLength(4);
    const gaps = handed.slice(1).map((atMs, index) => atMs - (handed[index] ?? 0));
    for (const gapMs of gaps) {
      expect(gapMs).toBeGreaterThanOrEqual(2_500);
      expect(gapMs).toBeLessThanOrEqual(7_100);
    }
    expect(handOver.nextMs(startMs)).not.toBeNull();
  });
});
