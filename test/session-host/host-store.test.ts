/**
 * The session store: three outcomes of a read, one frame for all that changed, rollback, and the bridge ledger's
 * order after a reconnect.
 */
import { randomBytes } from "node:crypto";
import { expect, test, vi } from "vitest";
import type { HostFrame } from "../../src/bridge/device-frames.ts";
import { FRAME_BYTES_MAX } from "../../src/bridge/wire.ts";
import type { KeyRow } from "../../src/bridge/wire.ts";
import { err, ok } from "../../src/domain/result.ts";
import { BridgeLedger } from "../../session-host/bridge-ledger.ts";
import { systemClock } from "../../session-host/clock.ts";
import { DeviceSealer } from "../../session-host/sealing.ts";
import { CommitRefused, KeyStore, StoreFailed } from "../../session-host/store.ts";
import type { KeyCommit, KeyLink, StoreFailure, StoreWarning } from "../../session-host/store.ts";

const sealer = new DeviceSealer([{ id: "k1", key: randomBytes(32) }], "a".repeat(32), 1);

function edge(): {
  rows: Map<string, KeyRow>;
  commits: KeyCommit[];
  reads: string[][];
  link: KeyLink;
} {
  const rows = new Map<string, KeyRow>();
  const commits: KeyCommit[] = [];
  const reads: string[][] = [];
  return {
    rows,
    commits,
    reads,
    link: {
      read: async (keys) => {
        reads.push(...keys.map(({ ids }) => ids));
        return ok(
          keys.flatMap(({ type, ids }) => ids.flatMap((id) => rows.get(`${type}|${id}`) ?? [])),
        );
      },
      commit: async (commit) => {
        commits.push(commit);
        for (const row of commit.rows) {
          if (row.value === null) rows.delete(`${row.type}|${row.id}`);
          else rows.set(`${row.type}|${row.id}`, row);
        }
        return ok(null);
      },
    },
  };
}

function store(
  link: KeyLink,
  more: { cachedRowsMax?: number } = {},
): {
  keys: KeyStore;
  failures: StoreFailure[];
  warnings: StoreWarning[];
  rollbacks: () => number;
} {
  const failures: StoreFailure[] = [];
  const warnings: StoreWarning[] = [];
  let rollbacks = 0;
  const keys = new KeyStore({
    link,
    sealer,
    clock: systemClock,
    onFailure: (why) => failures.push(why),
    onRollback: () => {
      rollbacks += 1;
    },
    onWarning: (warning) => warnings.push(warning),
    cachedRowsMax: 100,
    ...more,
  });
  return { keys, failures, warnings, rollbacks: () => rollbacks };
}

const eager = (rows: Map<string, KeyRow>): KeyRow[] =>
  [...rows.values()].filter(({ type }) => type === "creds" || type === "head");

test("a read answers the value, or proved absent, and asks the edge once", async () => {
  const there = edge();
  const first = store(there.link);
  first.keys.stage("session", "a.0", '{"v":1}');
  await first.keys.commit();
  const second = store(there.link);
  expect(await second.keys.get("session", ["a.0", "b.0"])).toEqual(
    new Map([
      ["a.0", '{"v":1}'],
      ["b.0", null],
    ]),
  );
  await second.keys.get("session", ["a.0", "b.0"]);
  expect(there.reads).toEqual([["a.0", "b.0"]]);
});

test("a value that does not open fails the store instead of being missing", async () => {
  const there = edge();
  there.rows.set("session|a.0", {
    type: "session",
    id: "a.0",
    value: sealer.seal("session", "b.0", "1|{}"),
  });
  const { keys, failures } = store(there.link);
  await expect(keys.get("session", ["a.0"])).rejects.toBeInstanceOf(StoreFailed);
  expect(failures).toEqual(["unsealable"]);
  await expect(keys.commit()).rejects.toBeInstanceOf(StoreFailed);
});

test("an unanswered read fails the store instead of being missing", async () => {
  const { keys, failures } = store({
    ...edge().link,
    read: async () => err({ reason: "timeout" }),
  });
  await expect(keys.get("session", ["a.0"])).rejects.toBeInstanceOf(StoreFailed);
  expect(failures).toEqual(["unreadable"]);
});

test("all staged rows leave in one commit with their newest value, and equal values leave not at all", async () => {
  const there = edge();
  const { keys } = store(there.link);
  keys.stage("session", "a.0", "1");
  keys.stage("session", "a.0", "2");
  keys.stage("identity-key", "a.0", "3");
  await keys.commit({ forMessages: [{ messageId: 1, attempt: 1 }] });
  keys.stage("session", "a.0", "2");
  await keys.commit();
  expect(there.commits.map(({ rows, forMessages }) => [rows.length, forMessages.length])).toEqual([
    [2, 1],
  ]);
  await keys.commit({ forMessages: [{ messageId: 2, attempt: 1 }] });
  expect(there.commits.at(-1)).toMatchObject({ rows: [], forMessages: [{ messageId: 2 }] });
});

test("a commit waits for what was sent before it, also when it has nothing of its own", async () => {
  const held = Promise.withResolvers<void>();
  const there = edge();
  const { keys } = store({
    ...there.link,
    commit: async () => {
      await held.promise;
      return ok(null);
    },
  });
  keys.stage("session", "a.0", "1");
  const order: string[] = [];
  const first = keys.commit().then(() => order.push("first"));
  const second = keys.commit().then(() => order.push("second"));
  await Promise.resolve();
  expect(order).toEqual([]);
  held.resolve();
  await Promise.all([first, second]);
  expect(order).toEqual(["first", "second"]);
});

test("a refused commit tells its own waiter apart from one whose outcome is unknown", async () => {
  const there = edge();
  const refusing = store({ ...there.link, commit: async () => err({ reason: "refused" }) });
  refusing.keys.stage("session", "a.0", "1");
  await expect(refusing.keys.commit()).rejects.toBeInstanceOf(CommitRefused);
  const silent = store({ ...there.link, commit: async () => err({ reason: "unknown" }) });
  silent.keys.stage("session", "a.0", "1");
  const failure = await silent.keys.commit().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StoreFailed);
  expect(failure).not.toBeInstanceOf(CommitRefused);
});

test("rows that do not fit one frame are split, and the tags come with the last", async () => {
  const there = edge();
  const { keys } = store(there.link);
  for (let id = 0; id < 3_200; id += 1) keys.stage("pre-key", String(id), "x");
  await keys.commit({ forMessages: [{ messageId: 1, attempt: 1 }] });
  expect(there.commits.map(({ rows, forMessages }) => [rows.length, forMessages.length])).toEqual([
    [1_500, 0],
    [1_500, 0],
    [200, 1],
  ]);
});

test("the cache is bounded and forgets only what can be read again", async () => {
  const there = edge();
  const { keys } = store(there.link, { cachedRowsMax: 2 });
  keys.stage("creds", "creds", "c");
  for (const id of ["a", "b", "c", "d"]) keys.stage("session", id, id);
  await keys.commit();
  await keys.get("session", ["x", "y", "z"]);
  expect((await keys.get("session", ["a"])).get("a")).toBe("a");
  expect((await keys.get("creds", ["creds"])).get("creds")).toBe("c");
});

test("a read of more rows than the cache holds misses none", async () => {
  const there = edge();
  const writer = store(there.link);
  const ids = Array.from({ length: 250 }, (_, index) => `c${index}.0`);
  for (const id of ids) writer.keys.stage("lid-mapping", id, id);
  await writer.keys.commit();
  const { keys } = store(there.link, { cachedRowsMax: 10 });
  const found = await keys.get("lid-mapping", ids);
  expect([...found].every(([id, json]) => json === id)).toBe(true);
  expect(there.reads.map((part) => part.length)).toEqual([100, 100, 50]);
});

test("sessions are read two at a time, so that the largest rows fit one frame", async () => {
  const there = edge();
  const { keys } = store(there.link);
  await keys.get("session", ["a.0", "b.0", "c.0", "d.0", "e.0"]);
  expect(there.reads).toEqual([["a.0", "b.0"], ["c.0", "d.0"], ["e.0"]]);
});

test("a row under an id that fits no frame is neither sent nor asked for", async () => {
  const there = edge();
  const { keys, warnings } = store(there.link);
  const id = "g".repeat(201);
  keys.stage("sender-key", id, "{}");
  await keys.commit();
  expect(await keys.get("sender-key", [id])).toEqual(new Map([[id, null]]));
  expect([there.commits, there.reads, warnings]).toEqual([[], [], ["row_dropped"]]);
});

test("rows leave room in their frame for the largest text", async () => {
  const there = edge();
  const { keys } = store(there.link);
  for (const id of ["a.0", "b.0", "c.0", "d.0"]) keys.stage("session", id, "x".repeat(140_000));
  await keys.commit();
  for (const commit of there.commits)
    expect(JSON.stringify(commit).length + 6 * 70_000).toBeLessThan(FRAME_BYTES_MAX);
  expect(there.commits.flatMap(({ rows }) => rows)).toHaveLength(4);
});

test("creds put back behind their head void the older sessions and keep the identity", async () => {
  const there = edge();
  const first = store(there.link);
  first.keys.stage("creds", "creds", '"old"');
  first.keys.stage("session", "a.0", "1");
  await first.keys.commit();
  const old = there.rows.get("creds|creds");
  first.keys.stage("creds", "creds", '"new"');
  await first.keys.commit();
  const honest = store(there.link);
  expect(honest.keys.open(eager(there.rows))).toBe(true);
  expect(honest.rollbacks()).toBe(0);
  expect((await honest.keys.get("session", ["a.0"])).get("a.0")).toBe("1");
  if (old !== undefined) there.rows.set("creds|creds", old);
  const robbed = store(there.link);
  expect(robbed.keys.open(eager(there.rows))).toBe(true);
  expect(robbed.rollbacks()).toBe(1);
  expect((await robbed.keys.get("session", ["a.0"])).get("a.0")).toBeNull();
  expect((await robbed.keys.get("creds", ["creds"])).get("creds")).toBe('"old"');
});

test("after a reconnect commits go first, then requests, then facts, each from where the device is", async () => {
  const sent: HostFrame[] = [];
  const ledger = new BridgeLedger((frame) => sent.push(frame));
  ledger.resume(0, 0);
  const commits = [1, 2, 3].map(() => ledger.commit({ rows: [], forMessages: [], inbound: [] }));
  ledger.addFact({ kind: "drained" });
  ledger.addFact({ kind: "restricted", untilMs: null });
  void ledger.read([{ type: "session", ids: ["a.0"] }]);
  sent.length = 0;
  ledger.resume(2, 1);
  expect(
    sent.map((frame) =>
      frame.t === "keys_commit"
        ? `commit ${frame.seq}`
        : frame.t === "facts"
          ? `facts from ${frame.first}`
          : frame.t,
    ),
  ).toEqual(["commit 3", "keys_get", "facts from 2"]);
  expect(await commits[0]).toEqual(ok(null));
  expect(await commits[1]).toEqual(ok(null));
  ledger.abandon();
  expect(await commits[2]).toEqual(err({ reason: "unknown" }));
});

test("facts leave in frames that the device takes, however long the ids of others' receipts are", () => {
  const sent: HostFrame[] = [];
  const ledger = new BridgeLedger((frame) => sent.push(frame));
  const receipt = {
    kind: "receipt",
    receipt: "delivered",
    waIds: Array.from({ length: 300 }, () => "\u0001".repeat(128)),
    chat: "6281234567890@s.whatsapp.net",
    chatPhone: null,
    atMs: 1,
  } as const;
  const kept = Array.from({ length: 60 }, () => ledger.addFact(receipt));
  ledger.resume(0, 0);
  const frames = sent.filter((frame) => frame.t === "facts");
  for (const frame of frames) {
    expect(Buffer.byteLength(JSON.stringify(frame))).toBeLessThan(FRAME_BYTES_MAX);
  }
  expect(frames.flatMap(({ facts }) => facts)).toHaveLength(60);
  expect(frames.map(({ first }) => first)).toEqual(
    frames.map(
      (_, at) => 1 + frames.slice(0, at).reduce((sum, { facts }) => sum + facts.length, 0),
    ),
  );
  expect(kept.every(Boolean)).toBe(true);
  // What the device never acknowledges is bounded in bytes, not only in number.
  expect(Array.from({ length: 30 }, () => ledger.addFact(receipt)).at(-1)).toBe(false);
  ledger.factsDurable(60);
  expect(ledger.addFact(receipt)).toBe(true);
  ledger.abandon();
});

test("a question waits for the next connection, and times out only while one stands", async () => {
  vi.useFakeTimers();
  try {
    const ledger = new BridgeLedger(() => undefined);
    ledger.resume(0, 0);
    const settled: unknown[] = [];
    const asking = ledger.read([{ type: "session", ids: ["a.0"] }]);
    void asking.then((answer) => settled.push(answer));
    ledger.lost();
    await vi.advanceTimersByTimeAsync(50_000);
    expect(settled).toEqual([]);
    ledger.resume(0, 0);
    await vi.advanceTimersByTimeAsync(9_999);
    expect(settled).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toEqual([err({ reason: "timeout" })]);
  } finally {
    vi.useRealTimers();
  }
});
