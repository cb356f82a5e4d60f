/** Finding and withdrawing messages by /v1: pages, filters, cancelling one and all, and the queue of a device. */
import { env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { setSaboteur } from "../../src/domain/crossing.ts";
import { legsOf } from "./support/books.ts";
import {
  foldOf,
  freshText,
  newCustomer,
  newDevice,
  newKey,
  believe,
  type Customer,
} from "./support/harness.ts";
import { v1 } from "./support/v1.ts";

afterEach(() => setSaboteur(null));

type Sender = Pick<Customer, "apiKey" | "waid">;

async function sendOne(sender: Sender, fields: Record<string, unknown> = {}): Promise<number> {
  const body = { device: sender.waid, to: "081310001001", text: freshText(), ...fields };
  const answer = await v1("POST", "/messages", sender.apiKey, body);
  expect(answer.status, `for ${JSON.stringify(answer.body)}`).toBe(202);
  return Number(answer.body["id"]);
}

const LATER = { send_at: new Date(Date.now() + 86_400_000).toISOString() };

async function listed(token: string, query = ""): Promise<number[]> {
  const { status, body } = await v1("GET", `/messages${query}`, token);
  expect(status, `for ${JSON.stringify(body)}`).toBe(200);
  return (body["messages"] as { id: number }[]).map(({ id }) => id);
}

/** Pages from the newest on until there is none. */
async function walk(token: string, query: string): Promise<{ ids: number[]; pages: number }> {
  const ids: number[] = [];
  let cursor: string | null = "";
  let pages = 0;
  while (cursor !== null) {
    const more: string = cursor === "" ? "" : `&cursor=${cursor}`;
    const { body } = await v1("GET", `/messages?${query}${more}`, token);
    ids.push(...(body["messages"] as { id: number }[]).map(({ id }) => id));
    cursor = body["next_cursor"] as string | null;
    pages += 1;
    expect(pages).toBeLessThan(50);
  }
  return { ids, pages };
}

describe("the list of messages", () => {
  it("is newest first, page by page, and holds each message once", async () => {
    const customer = await newCustomer();
    const sent: number[] = [];
    for (let n = 0; n < 7; n += 1) sent.push(await sendOne(customer));
    const newestFirst = sent.toSorted((one, other) => other - one);
    expect(await listed(customer.apiKey)).toEqual(newestFirst);
    expect(await walk(customer.apiKey, "limit=3")).toEqual({ ids: newestFirst, pages: 3 });
  });

  it("can be narrowed by device, recipient, status and time", async () => {
    const customer = await newCustomer();
    const second = { ...customer, ...(await newDevice(customer.accountId)) };
    await believe(second.deviceId, "connected");
    const one = await sendOne(customer);
    const two = await sendOne(second, { to: "081310001002" });
    const three = await sendOne(customer, LATER);
    await v1("POST", `/messages/${three}/cancel`, customer.apiKey);
    const only = (query: string) => listed(customer.apiKey, query);
    expect(await only(`?device=${second.waid}`)).toEqual([two]);
    expect(await only("?to=%2B6281310001002")).toEqual([two]);
    expect(new Set(await only("?status=pending"))).toEqual(new Set([one, two]));
    await vi.waitFor(async () => expect(await only("?status=cancel")).toEqual([three]));
    expect(await only("?status=read")).toEqual([]);
    const soon = encodeURIComponent(new Date(Date.now() + 60_000).toISOString());
    expect(await only(`?since=${soon}`)).toEqual([]);
    expect(await only(`?until=${soon}`)).toHaveLength(3);
    const before = encodeURIComponent(new Date(Date.now() - 60_000).toISOString());
    expect(await only(`?since=${before}&until=${soon}&device=${customer.waid}`)).toHaveLength(2);
  });

  it("stands as indexed while the device cannot be reached", async () => {
    const customer = await newCustomer();
    const id = await sendOne(customer);
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur((crossing, call) =>
      crossing.kind === "object" ? Promise.reject(new Error("unreachable")) : call(),
    );
    const { body } = await v1("GET", "/messages", customer.apiKey);
    expect(body["messages"]).toMatchObject([{ id, status: "pending", price: 200 }]);
    setSaboteur(null);
    warn.mockRestore();
  });

  it("refuses questions that make no sense", async () => {
    const customer = await newCustomer();
    for (const query of [
      "limit=0",
      "limit=101",
      "limit=x",
      "cursor=x",
      "status=lost",
      "since=yesterday",
      "to=rumah",
      "device=..",
    ]) {
      const answer = await v1("GET", `/messages?${query}`, customer.apiKey);
      expect([answer.status, answer.body["code"]], `for ${query}`).toEqual([422, "body_malformed"]);
    }
  });
});

describe("cancelling a message", () => {
  it("gives its price back once, however often it is asked", async () => {
    const customer = await newCustomer();
    const id = await sendOne(customer, LATER);
    expect((await foldOf(customer.accountId)).held).toBe(200);
    for (let n = 0; n < 3; n += 1) {
      const { status, body } = await v1("POST", `/messages/${id}/cancel`, customer.apiKey);
      expect(status).toBe(200);
      expect(body).toMatchObject({ id, status: "cancel", reason: "cancelled_by_customer" });
    }
    await vi.waitFor(async () => expect((await foldOf(customer.accountId)).held).toBe(0));
    expect((await legsOf(id)).map(({ kind }) => kind)).toEqual(["hold", "void"]);
  });

  it("that has left is refused, and costs what it costs", async () => {
    const customer = await newCustomer();
    const id = await sendOne(customer);
    const stub = env.DEVICES.get(env.DEVICES.idFromName(customer.deviceId));
    await runInDurableObject(stub, (_, state) =>
      state.storage.sql.exec("UPDATE outbox SET state = 'maybe_sent', open = 2"),
    );
    const { status, body } = await v1("POST", `/messages/${id}/cancel`, customer.apiKey);
    expect([status, body["code"]]).toEqual([409, "message_not_waiting"]);
    expect((await foldOf(customer.accountId)).held).toBe(200);
  });

  it("that its device was never given works all the same", async () => {
    const customer = await newCustomer();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur((crossing, call) =>
      crossing.name === "device.enqueue" ? Promise.reject(new Error("unreachable")) : call(),
    );
    const id = await sendOne(customer, LATER);
    const { status, body } = await v1("POST", `/messages/${id}/cancel`, customer.apiKey);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id, status: "cancel", reason: "cancelled_by_customer" });
    setSaboteur(null);
    warn.mockRestore();
    // The Worker goes on trying to hand it over; then its hold can be given back.
    await vi.waitFor(async () => expect((await foldOf(customer.accountId)).held).toBe(0), {
      timeout: 10_000,
    });
  });
});

describe("cancelling all that waits", () => {
  it("of a device leaves the other devices alone and gives each price back once", async () => {
    const customer = await newCustomer();
    const other = { ...customer, ...(await newDevice(customer.accountId)) };
    await believe(other.deviceId, "connected");
    const ids: number[] = [];
    for (let n = 0; n < 5; n += 1) ids.push(await sendOne(customer, LATER));
    const kept = await sendOne(other, LATER);
    const cancel = () => v1("POST", "/messages/cancel", customer.apiKey, { device: customer.waid });
    expect((await cancel()).body).toEqual({ cancelled: 5, next_cursor: null });
    expect((await cancel()).body).toEqual({ cancelled: 0, next_cursor: null });
    await vi.waitFor(async () => expect((await foldOf(customer.accountId)).held).toBe(200));
    for (const id of ids) {
      expect((await legsOf(id)).map(({ kind }) => kind)).toEqual(["hold", "void"]);
    }
    expect((await v1("GET", `/messages/${kept}`, customer.apiKey)).body).toMatchObject({
      status: "pending",
    });
  });

  it("of a key reaches all devices and spares what other keys sent", async () => {
    const customer = await newCustomer();
    const other = { ...customer, ...(await newDevice(customer.accountId)) };
    await believe(other.deviceId, "connected");
    const apiKey = await newKey(customer.accountId);
    const [newest] = (await v1("GET", "/keys", apiKey)).body["keys"] as { id: number }[];
    const kept = [await sendOne(customer, LATER), await sendOne(other, LATER)];
    const gone = [
      await sendOne({ apiKey, waid: customer.waid }, LATER),
      await sendOne({ apiKey, waid: other.waid }, LATER),
    ];
    const { body } = await v1("POST", "/messages/cancel", customer.apiKey, { key: newest?.id });
    expect(body).toEqual({ cancelled: 2, next_cursor: null });
    for (const [ids, status] of [
      [kept, "pending"],
      [gone, "cancel"],
    ] as const) {
      for (const id of ids) {
        const told = await v1("GET", `/messages/${id}`, customer.apiKey);
        expect(told.body["status"]).toBe(status);
      }
    }
  });

  it("goes on where it stopped when there is more than one request does", async () => {
    const customer = await newCustomer();
    await sendOne(customer, LATER);
    const stub = env.DEVICES.get(env.DEVICES.idFromName(customer.deviceId));
    await runInDurableObject(stub, (_, state) => {
      const columns = state.storage.sql
        .exec<{ name: string }>("SELECT name FROM pragma_table_info('outbox')")
        .toArray()
        .map(({ name }) => name)
        .filter((name) => name !== "id");
      state.storage.sql.exec(
        `INSERT INTO outbox (id, ${columns.join(", ")})
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2300)
         SELECT o.id + n.i, ${columns.map((name) => `o.${name}`).join(", ")} FROM n, outbox o`,
      );
    });
    // What it remembers of its queue is not what is there now.
    await evictDurableObject(stub);
    const alert = vi.spyOn(console, "error").mockImplementation(() => {});
    const counts: number[] = [];
    let cursor: unknown;
    do {
      const { body } = await v1("POST", "/messages/cancel", customer.apiKey, {
        device: customer.waid,
        ...(typeof cursor === "string" ? { cursor } : {}),
      });
      counts.push(Number(body["cancelled"]));
      cursor = body["next_cursor"];
    } while (cursor !== null);
    expect(counts).toEqual([2000, 301]);
    alert.mockRestore();
  });

  it("includes what its device was never given", async () => {
    const customer = await newCustomer();
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    setSaboteur((crossing, call) =>
      crossing.name === "device.enqueue" ? Promise.reject(new Error("unreachable")) : call(),
    );
    await sendOne(customer, LATER);
    const { body } = await v1("POST", "/messages/cancel", customer.apiKey, {
      device: customer.waid,
    });
    expect(body).toEqual({ cancelled: 1, next_cursor: null });
    setSaboteur(null);
    warn.mockRestore();
  });

  it("needs a device or a key", async () => {
    const customer = await newCustomer();
    const { status } = await v1("POST", "/messages/cancel", customer.apiKey, {});
    expect(status).toBe(422);
    const unknown = await v1("POST", "/messages/cancel", customer.apiKey, { key: 999_999 });
    expect([unknown.status, unknown.body["code"]]).toEqual([404, "api_key_unknown"]);
  });
});

describe("the queue of a device", () => {
  it("shows what waits in the order in which it leaves, and when", async () => {
    const customer = await newCustomer();
    const scheduled = await sendOne(customer, LATER);
    const reminder = await sendOne(customer, { category: "reminder" });
    const otp = await sendOne(customer, { category: "otp" });
    const { body } = await v1("GET", `/devices/${customer.waid}/queue`, customer.apiKey);
    expect(body["waiting"]).toBe(3);
    const messages = body["messages"] as Record<string, unknown>[];
    expect(messages.map(({ id }) => id)).toEqual([otp, reminder, scheduled]);
    // The object has no phone: nobody knows when it comes back.
    expect(messages.map(({ reason }) => reason)).toEqual([
      "device_offline",
      "device_offline",
      "scheduled",
    ]);
    expect(messages[0]).toMatchObject({ to: "6281310001001", category: "otp", expected_at: null });
    expect(messages[2]).toMatchObject({ due_at: LATER.send_at, expected_at: LATER.send_at });
    const first = await v1("GET", `/devices/${customer.waid}/queue?limit=1`, customer.apiKey);
    expect(first.body).toMatchObject({ waiting: 3, messages: [{ id: otp }] });
  });
});
