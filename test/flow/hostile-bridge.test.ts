/**
 * The bridge attacked over its own wire, with what a thief could have: guessed, used and foreign papers, a host token
 * without the seal key, a resume token. Whatever is tried, the phones stay with their host and texts go on.
 */
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { BridgeTap } from "./support/bridge-tap.ts";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";

const ANSWER_TIMEOUT_MS = 60_000;

const flow = useFlow({ hosts: 0 });
let tap: BridgeTap;
let mine: Customer;
let other: Customer;
let sealKeyId = "";
const resumeTokens = new Map<string, string>();

beforeAll(async () => {
  tap = await BridgeTap.start(flow.stack.url);
  tap.listen({
    fromHost: (frame) => {
      if (frame.t === "hello") ({ sealKeyId } = frame);
      return "pass";
    },
    fromDevice: (frame, deviceId) => {
      if (frame.t === "welcome") resumeTokens.set(deviceId, frame.resumeToken);
      return "pass";
    },
  });
  await flow.stack.addHost({ GATEWAY_URL: tap.url });
  mine = await flow.customer("6281234534001");
  other = await flow.customer("6281234534002");
  return () => tap.close();
});

/** A text still goes all the way, on both phones. */
async function expectService(text: string): Promise<void> {
  for (const [at, customer] of [mine, other].entries()) {
    const id = await flow.sendOne(customer, `628131000900${at + 1}`, `${text}, telepon ${at + 1}`);
    await flow.untilMessage(customer, id, "received");
  }
  const hosts = await flow.stack.product.hosts();
  expect(hosts.ok && hosts.value.hosts.every(({ connected }) => connected)).toBe(true);
}

/** The newest papers with which the host came to a device, or to the Fleet. */
function papersAt(path: string, header: string): Record<string, string> {
  const found = tap.upgrades.findLast((one) => one.path === path && header in one.headers);
  if (found === undefined) throw new Error(`nobody came to ${path} with ${header}`);
  return found.headers;
}

function pathOf({ waid }: Customer): string {
  const [row] = flow.stored.device(waid, "SELECT device_id AS id FROM device");
  return `/bridge/devices/${String(row?.["id"])}`;
}

function resumeOf(customer: Customer): string {
  return resumeTokens.get(pathOf(customer).slice("/bridge/devices/".length)) ?? "";
}

/** The status of a refusal, or the open socket. */
function knock(path: string, headers: Record<string, string>): Promise<number | WebSocket> {
  const socket = new WebSocket(`${flow.stack.url.replace("http", "ws")}${path}`, { headers });
  return new Promise((resolve, reject) => {
    socket.once("open", () => resolve(socket));
    socket.once("unexpected-response", (_request, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on("error", reject);
  });
}

async function enter(path: string, headers: Record<string, string>): Promise<WebSocket> {
  const entered = await knock(path, headers);
  if (typeof entered === "number") throw new Error(`${path} answered ${entered}`);
  return entered;
}

/** Says all of it and waits for the other side to hang up; answers its code. */
async function untilClosed(socket: WebSocket, frames: (string | Buffer)[]): Promise<number> {
  const closed = new Promise<number>((resolve, reject) => {
    socket.once("close", resolve);
    setTimeout(() => reject(new Error("the socket stays open")), ANSWER_TIMEOUT_MS).unref();
  });
  for (const frame of frames) socket.send(frame, () => undefined);
  return closed;
}

describe("an upgrade", () => {
  test("to the Fleet needs the whole of an approved host's token", async () => {
    const good = papersAt("/bridge/control", "authorization");
    const token = good["authorization"] ?? "";
    for (const [authorization, boot, status] of [
      [undefined, "boot-forged-1", 401],
      ["Bearer ", "boot-forged-1", 401],
      [`Bearer ${"0".repeat(64)}`, "boot-forged-1", 401],
      [token.slice(0, -1), "boot-forged-1", 401],
      [`${token}0`, "boot-forged-1", 401],
      [token.replace("Bearer", "Basic"), "boot-forged-1", 401],
      [`Bearer ${"x".repeat(5_000)}`, "boot-forged-1", 401],
      [token, undefined, 400],
      [token, "../x", 400],
    ] as const) {
      const headers = {
        ...(authorization === undefined ? {} : { authorization }),
        ...(boot === undefined ? {} : { "x-kabar-boot": boot }),
      };
      expect(await knock("/bridge/control", headers)).toBe(status);
    }
    await expectService("Setelah token palsu");
  });

  test("to a device needs papers that are unused and its own, host and boot included", async () => {
    const path = pathOf(mine);
    const used = papersAt(path, "x-kabar-ticket");
    const foreign = papersAt(pathOf(other), "x-kabar-ticket");
    const { "x-kabar-ticket": ticket = "", ...who } = used;
    const resume = { ...who, "x-kabar-resume": resumeOf(mine) };
    const refused: [string, Record<string, string>, number][] = [
      [path, {}, 401],
      [path, who, 401],
      [path, { "x-kabar-ticket": ticket }, 401],
      [path, used, 403],
      [path, { ...who, "x-kabar-ticket": "f".repeat(64) }, 403],
      [path, { ...who, "x-kabar-ticket": `${ticket}, ${"f".repeat(64)}` }, 403],
      [path, foreign, 403],
      [path, { ...who, "x-kabar-resume": resumeOf(other) }, 403],
      [path, { ...who, "x-kabar-resume": "f".repeat(64) }, 403],
      [path, { ...resume, "x-kabar-boot": "boot-forged-1" }, 409],
      [path, { ...resume, "x-kabar-host": "host-of-a-thief" }, 409],
      // A ticket beside a resume token does not make a used one good.
      [path, { ...resume, "x-kabar-ticket": ticket }, 403],
      [pathOf(other), resume, 403],
      [`/bridge/devices/${"0".repeat(32)}`, used, 403],
      [`${path}/`, resume, 404],
      [`${path}%2f`, resume, 404],
      ["/bridge/devices/..%2fcontrol", resume, 404],
    ];
    for (const [at, headers, status] of refused) {
      expect([at, await knock(at, headers)]).toEqual([at, status]);
    }
    await expectService("Setelah tiket palsu");
  });
});

describe("a host token without the seal key", () => {
  let socket: WebSocket;
  const hello = (more: object = {}) =>
    JSON.stringify({
      t: "hello",
      protocol: 1,
      capacity: 1_000,
      sealKeyId,
      clientVersion: "2.3000.1",
      ...more,
    });

  beforeEach(async () => {
    const { authorization = "" } = papersAt("/bridge/control", "authorization");
    socket = await enter("/bridge/control", { authorization, "x-kabar-boot": "boot-forged-1" });
  });

  test("gets no phone, takes none away, and ends nobody's connection", async () => {
    const running = [mine, other].map((customer) => ({
      deviceId: pathOf(customer).slice("/bridge/devices/".length),
      placementId: 1,
      epoch: 1,
    }));
    const said: string[] = [];
    socket.on("message", (data: Buffer) => said.push(data.toString()));
    const claims = [
      { t: "report", running },
      { t: "draining" },
      { t: "goodbye" },
      { t: "proof", signature: "A".repeat(88) },
      { t: "assign", deviceId: running[0]?.deviceId },
    ];
    const frames = Array.from({ length: 3 }, () => claims.map((one) => JSON.stringify(one)));
    expect(await untilClosed(socket, frames.flat())).toBe(4400);
    expect(said).toEqual([]);
    await expectService("Setelah klaim palsu");
  });

  test("is sent away for a wrong proof, an unknown key, another protocol, noise and size", async () => {
    const { authorization = "" } = papersAt("/bridge/control", "authorization");
    const again = () =>
      enter("/bridge/control", { authorization, "x-kabar-boot": "boot-forged-1" });
    const proof = JSON.stringify({ t: "proof", signature: `${"A".repeat(86)}==` });
    expect(await untilClosed(socket, [hello(), proof])).toBe(4403);
    expect(await untilClosed(await again(), [hello({ sealKeyId: "__proto__" })])).toBe(4403);
    expect(await untilClosed(await again(), [hello({ protocol: 999 })])).toBe(4426);
    const noise = Array.from(
      { length: 12 },
      (_, at) => ["{", "[]", "null", "\u0000"][at % 4] ?? "",
    );
    expect(await untilClosed(await again(), noise)).toBe(4400);
    expect(await untilClosed(await again(), ["x".repeat(1_000_000)])).toBe(4413);
    await expectService("Setelah bukti palsu");
  });
});

interface Frame {
  t: string;
  reason?: string;
}

/** What it is told until its keys were refused and its facts acknowledged; null when it is closed before. */
function answersTo(socket: WebSocket, frames: readonly string[]): Promise<Frame[] | null> {
  return new Promise((resolve) => {
    const answers: Frame[] = [];
    const has = (wanted: string): boolean => answers.some(({ t }) => t === wanted);
    socket.on("message", (data: Buffer) => {
      const text = data.toString();
      if (text.startsWith("{")) answers.push(JSON.parse(text) as Frame);
      if (!has("keys_refused") || !has("fact_ack")) return;
      resolve(answers);
      socket.terminate();
    });
    socket.on("close", () => resolve(null));
    for (const frame of frames) socket.send(frame);
  });
}

describe("a stolen resume token", () => {
  /** In the real host's place until that comes back. */
  async function stolen(): Promise<WebSocket> {
    const { "x-kabar-ticket": _, ...who } = papersAt(pathOf(mine), "x-kabar-ticket");
    return enter(pathOf(mine), { ...who, "x-kabar-resume": resumeOf(mine) });
  }

  const hello = (): string =>
    JSON.stringify({ t: "hello", protocol: 1, lastCommandSeq: 0, sealKeyId: "k-stolen" });

  test.each<[string, () => (string | Buffer)[]]>([
    [
      "too early",
      () => [JSON.stringify({ t: "keys_get", id: 1, keys: [{ type: "creds", ids: ["creds"] }] })],
    ],
    [
      "noise",
      () => [hello(), ...Array.from({ length: 30 }, (_, at) => `{"t":"nonsense","n":${at}}`)],
    ],
    ["too large", () => ["x".repeat(900_001)]],
    ["binary", () => [Buffer.alloc(10)]],
    ["forty times too large", () => ["x".repeat(40_000_000)]],
  ])("brings no frame through that is %s, and the host comes back", async (_what, frames) => {
    expect(await untilClosed(await stolen(), frames())).not.toBe(1000);
    await expectService("Setelah bingkai palsu");
  });

  test("writes no keys out of turn and proves no message that the host never sent", async () => {
    const id = await flow.sendOne(mine, "6281310009009", "Pesan terjadwal yang menunggu");
    await flow.untilMessage(mine, id, "received");
    const waIds = flow.stored
      .device(mine.waid, "SELECT wa_id AS id FROM outbox WHERE wa_id IS NOT NULL")
      .map((row) => String(row["id"]));
    const before = flow.stored.device(mine.waid, "SELECT type, id, value FROM session_rows");
    const row = { type: "creds", id: "creds", value: "AAAA" };
    const commit = { t: "keys_commit", forMessages: [], inbound: [] };
    const to = "6281310009001@s.whatsapp.net";
    const facts = waIds.map((waId) => ({ kind: "ack", waId, to, error: 500 }));
    // The host may take its line back before a frame was answered: then the thief comes again.
    const answers = await flow.until("answers", async () =>
      answersTo(await stolen(), [
        hello(),
        JSON.stringify({ ...commit, seq: 1_000_000, rows: [row] }),
        JSON.stringify({ ...commit, seq: 1, rows: [row] }),
        JSON.stringify({ t: "facts", first: 1_000_000, facts }),
      ]),
    );
    expect(answers.find(({ t }) => t === "keys_refused")).toMatchObject({ reason: "gap" });
    await flow.untilDevice(mine, "connected");
    expect((await flow.message(mine, id)).status).not.toBe("reject");
    const keys = flow.stored.device(
      mine.waid,
      "SELECT value FROM session_rows WHERE value = 'AAAA'",
    );
    expect(keys).toEqual([]);
    expect(before.length).toBeGreaterThan(0);
    await expectService("Setelah kunci palsu");
  });
});
