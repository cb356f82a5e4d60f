/** Stanzas one at a time and in order, however long each takes; and a backlog that live texts follow, through the real library. */
import { afterEach, expect, test } from "vitest";
import { StanzaQueue } from "../../session-host/baileys/stanza-queue.ts";
import { startRig } from "./support/rig.ts";
import type { Rig } from "./support/rig.ts";

let rig: Rig | null = null;
afterEach(async () => {
  await rig?.close();
  rig = null;
});

interface Step {
  n: number;
  end: () => void;
}

function queueOf(waitingMax = 100) {
  const begun: Step[] = [];
  const seen = { isOver: false, overflows: 0 };
  const queue = new StanzaQueue<number>({
    handle: (n) =>
      new Promise<void>((resolve) => {
        begun.push({ n, end: resolve });
      }),
    isOver: () => seen.isOver,
    onOverflow: () => {
      seen.overflows += 1;
    },
    waitingMax,
  });
  const begunNumbers = () => begun.map(({ n }) => n);
  const endLast = async () => {
    begun.at(-1)?.end();
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  };
  return { queue, begunNumbers, endLast, seen };
}

test("a stanza begins when the one before it has ended, in the order in which they came", async () => {
  const { queue, begunNumbers, endLast } = queueOf();
  for (const n of [1, 2, 3]) queue.add(n);
  expect(begunNumbers()).toEqual([1]);
  await endLast();
  expect(begunNumbers()).toEqual([1, 2]);
  queue.add(4);
  await endLast();
  await endLast();
  expect(begunNumbers()).toEqual([1, 2, 3, 4]);
  await endLast();
  queue.add(5);
  expect(begunNumbers()).toEqual([1, 2, 3, 4, 5]);
});

test("nothing begins once the connection is over, and one stanza too many ends it", async () => {
  const { queue, begunNumbers, endLast, seen } = queueOf(2);
  for (const n of [1, 2, 3, 4]) queue.add(n);
  expect(seen.overflows).toBe(1);
  seen.isOver = true;
  await endLast();
  queue.add(5);
  expect(begunNumbers()).toEqual([1]);
});

test("texts that waited for a host come before those written while it reads them", async () => {
  rig = await startRig();
  const simulated = rig;
  const { host, edge, simulator } = simulated;
  const phone = "6281200001111";
  const write = (text: string) => simulated.ask("/phones/6281200002222/send", { to: phone, text });
  const device = edge.addDevice();
  await rig.pair(device, phone);
  await write("pesan pertama");
  await device.until(() => device.inbound.length === 1);
  await host.stop();
  const waiting = ["tertunda satu", "tertunda dua", "tertunda tiga"];
  for (const text of waiting) await write(text);

  device.holdCommit = ({ inbound }) => inbound.length > 0;
  rig.anotherHost();
  const framesBefore = device.frames.length;
  await edge.assign(device);
  await device.until(() =>
    device.frames
      .slice(framesBefore)
      .some((frame) => frame.t === "keys_commit" && frame.inbound.length > 0),
  );
  await device.fact("drained");
  await write("langsung");
  await simulator.network.events.waitFor((event) => event.kind === "inbound_sent", 5_000);
  device.releaseCommits();
  await device.until(() => device.inbound.length === 5);
  expect(device.inbound.map(({ text, offline }) => [text, offline])).toEqual([
    ["pesan pertama", false],
    ...waiting.map((text) => [text, true]),
    ["langsung", false],
  ]);
});
