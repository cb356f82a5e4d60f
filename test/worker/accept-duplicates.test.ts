/** Equal messages within a minute: one id, one price, one text; and what does not count as equal. */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { deviceClient } from "../../src/device/client.ts";
import { sha256Hex } from "../../src/domain/digest.ts";
import { drawMessageIds, type RandomBytes, systemRandomBytes } from "../../src/domain/id.ts";
import { ok } from "../../src/domain/result.ts";
import { BodySeal } from "../../src/gateway/body-seal.ts";
import { Fingerprint } from "../../src/gateway/fingerprint.ts";
import { GroupCommit } from "../../src/gateway/group-commit.ts";
import { KnownDevices } from "../../src/gateway/known-devices.ts";
import { sendMessages, type SendRequest, type SendTools } from "../../src/gateway/send-messages.ts";
import { wallTime } from "../flow/support/wall-time.ts";
import { tombstonesClient } from "../../src/tombstones/client.ts";
import { legsOf } from "./support/books.ts";
import {
  foldOf,
  freshText,
  newCustomer,
  believe,
  newDevice,
  type Customer,
  newKey,
  packetsOf,
  send,
  sendRaw,
} from "./support/harness.ts";

const NUMBER = "6281234567890";

afterEach(() => {
  vi.useRealTimers();
});

describe("an equal message within a minute", () => {
  it("hears the first answer to the byte and is charged once", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    const packet = { number: NUMBER, message: freshText() };
    const first = await sendRaw(customer, [packet]);
    expect(await sendRaw(customer, [packet])).toBe(first);
    expect(await sendRaw(customer, [{ ...packet, number: "0812 3456 7890" }])).toBe(first);
    expect(await foldOf(customer.accountId)).toMatchObject({ available: 800, held: 200 });
  });

  it("counts within one request as well", async () => {
    const customer = await newCustomer({ balance: 1_000 });
    const packet = { number: NUMBER, message: freshText() };
    const [first, second] = packetsOf(await send(customer, [packet, packet]));
    expect(second).toEqual(first);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 200 });
  });

  it("of the send that took the last rupiah gets its answer, not 80", async () => {
    const customer = await newCustomer({ balance: 200 });
    const packet = { number: NUMBER, message: freshText() };
    const first = await sendRaw(customer, [packet]);
    expect(first).toContain('"sendingstatus":10');
    expect(await sendRaw(customer, [packet])).toBe(first);
  });

  it("is equal for no time and for a time that has passed", async () => {
    const customer = await newCustomer();
    const packet = { number: NUMBER, message: freshText(), sendingdatetime: "" };
    const first = await sendRaw(customer, [packet]);
    expect(await sendRaw(customer, [{ ...packet, sendingdatetime: "2017-01-01 23:59:59" }])).toBe(
      first,
    );
  });

  it("is the same when it is repeated after the time that it asks for", async () => {
    const customer = await newCustomer();
    const { atMs, written } = wallTime(Date.now() + 5_000);
    const packet = { number: NUMBER, message: freshText(), sendingdatetime: written };
    const first = await sendRaw(customer, [packet]);
    vi.useFakeTimers({ toFake: ["Date"], now: atMs + 10_000 });
    expect(await sendRaw(customer, [packet])).toBe(first);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 200 });
    await send(customer, [{ ...packet, sendingdatetime: wallTime(atMs - 5_000).written }]);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 400 });
  });

  it("is the one asked for at that time, though an equal one for now came before it", async () => {
    const customer = await newCustomer();
    const packet = { number: NUMBER, message: freshText() };
    await send(customer, [packet]);
    const { atMs, written } = wallTime(Date.now() + 5_000);
    const later = { ...packet, sendingdatetime: written };
    vi.useFakeTimers({ toFake: ["Date"], now: atMs - 1_000 });
    const first = await sendRaw(customer, [later]);
    vi.setSystemTime(atMs + 10_000);
    expect(await sendRaw(customer, [later])).toBe(first);
  });

  it("wins twenty races with one hold", async () => {
    const customer = await newCustomer({ balance: 10_000 });
    const packet = { number: NUMBER, message: freshText() };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => sendRaw(customer, [packet])),
    );
    expect(new Set(answers).size).toBe(1);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 200 });
  });
});

describe("a message", () => {
  it("to another number, with another text, for another time or from another device is new", async () => {
    const customer = await newCustomer({ balance: 10_000 });
    const other = { ...customer, ...(await newDevice(customer.accountId)) };
    await believe(other.deviceId, "connected");
    const packet = { number: NUMBER, message: freshText() };
    const later = `${new Date().getUTCFullYear() + 1}-01-01 09:00:00`;
    await send(customer, [packet]);
    await send(customer, [{ ...packet, number: "6281234567891" }]);
    await send(customer, [{ ...packet, message: `${packet.message}.` }]);
    await send(customer, [{ ...packet, message: packet.message.toUpperCase() }]);
    await send(customer, [{ ...packet, sendingdatetime: later }]);
    await send(other, [packet]);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 1_200 });
  });

  it("is new after a minute", async () => {
    const customer = await newCustomer();
    const packet = { number: NUMBER, message: freshText() };
    await send(customer, [packet]);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 60_001 });
    await send(customer, [packet]);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 400 });
  });

  it("is new on a key whose duplicate window is off", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { dedupe_window: false });
    const packet = { number: NUMBER, message: freshText() };
    await send({ apiKey, waid: customer.waid }, [packet]);
    await send({ apiKey, waid: customer.waid }, [packet]);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 400 });
  });

  it("equal to one that was cancelled is not replayed, though D1 has not heard of the cancel", async () => {
    const customer = await newCustomer();
    const packet = { number: NUMBER, message: freshText() };
    const [first] = packetsOf(await send(customer, [packet]));
    const { deviceId, accountId, waid } = customer;
    const device = env.DEVICES.get(env.DEVICES.idFromName(deviceId));
    await device.cancel({ deviceId, accountId, waid }, [first?.sendingid ?? 0], "customer");
    const [second] = packetsOf(await send(customer, [packet]));
    expect(second?.sendingstatus).toBe(10);
    expect(second?.sendingid).not.toBe(first?.sendingid);
    await vi.waitFor(async () =>
      expect((await legsOf(first?.sendingid ?? 0)).map((leg) => leg.kind)).toEqual([
        "hold",
        "void",
      ]),
    );
    expect((await legsOf(second?.sendingid ?? 0)).map((leg) => leg.kind)).toEqual(["hold"]);
  });
});

describe("an id that is already another message's", () => {
  it("is drawn anew, and nobody's row is touched", async () => {
    const [mine, theirs] = [await newCustomer(), await newCustomer()];
    const nowMs = Date.now();
    const drawn: number[] = [];
    const tools = sendTools(nowMs, (byteCount) => {
      if (byteCount !== 4) return systemRandomBytes(byteCount);
      // The first two draws fall on the same slot of the same second.
      drawn.push(drawn.length);
      return drawn.length <= 2 ? new Uint8Array(4) : systemRandomBytes(4);
    });
    const first = await sendMessages(tools, await sendRequest(theirs));
    const second = await sendMessages(tools, await sendRequest(mine));
    expect(drawn).toHaveLength(3);
    const ids = [first, second].map((sent) =>
      sent.ok && sent.value[0]?.ok === true ? sent.value[0].value.id : 0,
    );
    expect(ids[0]).toBe(drawMessageIds(nowMs, 1, () => new Uint8Array(4))[0]);
    expect(ids[1]).toBeGreaterThan(ids[0] ?? 0);
    expect(await foldOf(theirs.accountId)).toMatchObject({ held: 200 });
    expect(await foldOf(mine.accountId)).toMatchObject({ held: 200 });
  });
});

async function sendRequest(customer: Customer): Promise<SendRequest> {
  const text = freshText();
  return {
    keyHash: await sha256Hex(customer.apiKey),
    keyMode: "live",
    address: null,
    waid: customer.waid,
    packets: [
      ok({
        to: NUMBER,
        text: { plain: text, decoded: text, auto: "plain" },
        time: { kind: "now" },
        category: null,
        lifeMs: null,
      }),
    ],
    packetsMax: 5,
  };
}

function sendTools(nowMs: number, random: RandomBytes): SendTools {
  return {
    db: env.DB,
    devices: deviceClient(env.DEVICES),
    clock: () => nowMs,
    random,
    later: () => {},
    knownDevices: new KnownDevices(),
    groupCommit: new GroupCommit(),
    tombstones: tombstonesClient(env.TOMBSTONES),
    seal: new BodySeal([env.BODY_KEY], systemRandomBytes),
    fingerprint: new Fingerprint(env.FINGERPRINT_KEY),
  };
}
