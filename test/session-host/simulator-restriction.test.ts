/** An account that may start no new chats, as the real client meets it; and the record of connections. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { SimulatorBed } from "./support/simulator-bed.ts";

let bed: SimulatorBed;

beforeAll(async () => {
  bed = await SimulatorBed.start();
});

afterAll(() => bed.close());

test("a restricted account writes to known chats only, and its client hears until when", async () => {
  const { client, number } = await bed.linked();
  const [known, unknown] = [bed.number(), bed.number()];
  const before = await client.send(known, "sudah kenal sebelumnya");
  await client.until("status", ({ id, status }) => id === before && status >= 2);
  const untilMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
  await bed.post(`/phones/${number}/restriction`, { active: true, untilMs });

  const refused = await client.send(unknown, "belum kenal sama sekali");
  expect(await client.until("status", ({ id }) => id === refused)).toMatchObject({ code: "463" });
  const through = await client.send(known, "masih sampai juga");
  await client.until("status", ({ id, status }) => id === through && status >= 2);
  expect(await bed.shown(unknown, refused)).toBeUndefined();

  expect(await client.socket.fetchAccountReachoutTimelock()).toMatchObject({
    isActive: true,
    timeEnforcementEnds: new Date(untilMs),
  });
  await bed.post(`/phones/${number}/restriction`, { active: false });
  expect(await client.socket.fetchAccountReachoutTimelock()).toMatchObject({ isActive: false });
});

test("a restriction is announced to the account's client, and so is its end", async () => {
  const { client, number } = await bed.linked();
  const heard: (boolean | undefined)[] = [];
  const two = Promise.withResolvers<void>();
  client.socket.ev.on("connection.update", ({ reachoutTimeLock }) => {
    if (reachoutTimeLock === undefined) return;
    heard.push(reachoutTimeLock.isActive);
    if (heard.length === 2) two.resolve();
  });
  await bed.post(`/phones/${number}/restriction`, { active: true, announce: true });
  await bed.post(`/phones/${number}/restriction`, { active: false, announce: true });
  await two.promise;
  expect(heard).toEqual([true, false]);
});

test("each connection is on record with its times, the refused ones too", async () => {
  const { client, number } = await bed.linked();
  await client.end();
  await bed.post("/faults", { kind: "login_failure", account: number, reason: 503 });
  client.forget();
  client.connect();
  await client.until("closed");
  const { connections } = await bed.evidence();
  const [paired, refused] = connections.filter((one) => one.number === number);
  expect(paired?.onlineMs).toBeGreaterThanOrEqual(paired?.openedMs ?? Infinity);
  expect(paired?.refusedWith).toBeNull();
  expect(refused).toMatchObject({ refusedWith: 503, onlineMs: null });
  expect(refused?.endedMs).toBeGreaterThanOrEqual(refused?.openedMs ?? Infinity);
});
