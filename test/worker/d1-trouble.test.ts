/**
 * D1 that fails, before or after it did what it was asked, or says nothing for minutes. A double stands at the seam that
 * every call to D1 passes; the D1 behind it is real. Judged by what clients hear, what the host gets, and SQL over
 * `transfers`. What becomes of single accepting batches: accept-lost-answers.test.ts.
 */
import { env, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { findDifferences } from "../../src/billing/reconcile.ts";
import { askD1, askD1Once } from "../../src/db/ask.ts";
import { setSaboteur } from "../../src/domain/crossing.ts";
import type { ScriptedHost } from "./device-host.ts";
import { enqueue, messageTo, pairedHost, type TestDevice, unwrap } from "./device-support.ts";
import { legsOf } from "./support/books.ts";
import {
  foldOf,
  freshText,
  newCustomer,
  operator,
  packetsOf,
  request,
  send,
  type Customer,
} from "./support/harness.ts";

const MINUTE_MS = 60_000;

let warnings: string[] = [];

beforeEach(() => {
  warnings = [];
  vi.spyOn(console, "warn").mockImplementation((line: unknown) => {
    warnings.push(String(line));
  });
});

afterEach(() => {
  setSaboteur(null);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** Every call to D1 fails: before it takes effect, or after. */
function d1Fails(how: "before" | "after"): void {
  setSaboteur(async (crossing, call) => {
    if (crossing.kind !== "d1") return call();
    if (how === "after") await call();
    throw new Error("D1_ERROR: internal error");
  });
}

/** D1 says nothing; `speak` lets what it was given take effect, long after everybody gave up. */
function d1Silent(): { speak: () => Promise<void> } {
  const silence = { isOver: false };
  let waiting = 0;
  setSaboteur(async (crossing, call) => {
    if (crossing.kind !== "d1") return call();
    waiting += 1;
    // Each caller waits by itself: what one object holds, another may not resolve.
    while (!silence.isOver) await scheduler.wait(20);
    waiting -= 1;
    return call();
  });
  return {
    speak: async () => {
      silence.isOver = true;
      setSaboteur(null);
      await vi.waitFor(() => expect(waiting).toBe(0), 5_000).catch(() => undefined);
    },
  };
}

async function pairedCustomer(): Promise<{
  customer: Customer;
  device: TestDevice;
  host: ScriptedHost;
}> {
  const customer = await newCustomer({ balance: 100_000 });
  const { deviceId, accountId, waid } = customer;
  const device = {
    identity: { deviceId, accountId, waid },
    stub: env.DEVICES.get(env.DEVICES.idFromName(deviceId)),
  };
  await unwrap(device.stub.install(device.identity));
  return { customer, device, host: await pairedHost(device) };
}

async function kindsOf(id: number): Promise<string[]> {
  return (await legsOf(id)).map(({ kind }) => kind);
}

async function passTime(device: TestDevice, ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await runDurableObjectAlarm(device.stub);
}

/** As the old API writes it, in the zone of a new account. */
function wallTime(atMs: number): string {
  return new Date(atMs + 7 * 3_600_000).toISOString().slice(0, 19).replace("T", " ");
}

let recipients = 0;

function nextRecipient(): string {
  recipients += 1;
  return `6281300${10_000 + recipients}`;
}

describe("a question to D1", () => {
  it("is asked once more after an error, if it says the same again, and not if it would do more", async () => {
    for (const [ask, calls] of [
      [askD1, 2],
      [askD1Once, 1],
    ] as const) {
      let made = 0;
      const failing = async (): Promise<never> => {
        made += 1;
        throw new Error("D1_ERROR: Network connection lost.");
      };
      await expect(ask("test", failing)).rejects.toThrow("Network connection lost");
      expect(made).toBe(calls);
    }
  });

  it("is not asked again when the statement itself is refused", async () => {
    let made = 0;
    const refused = async (): Promise<never> => {
      made += 1;
      throw new Error("D1_ERROR: UNIQUE constraint failed: devices.waid: SQLITE_CONSTRAINT");
    };
    await expect(askD1("test", refused)).rejects.toThrow("UNIQUE");
    expect(made).toBe(1);
  });

  it("ends after ten seconds of silence, and the request that asked answers 503", async () => {
    const customer = await newCustomer();
    const { speak } = d1Silent();
    const startedMs = performance.now();
    const answer = await request("GET", "/v1/devices", { token: customer.apiKey });
    expect(answer.status).toBe(503);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    await speak();
    expect((await request("GET", "/v1/devices", { token: customer.apiKey })).status).toBe(200);
  }, 30_000);

  it("that fails once is not noticed by who asked", async () => {
    const customer = await newCustomer();
    let failures = 1;
    setSaboteur(async (crossing, call) => {
      if (crossing.kind === "d1" && failures-- > 0) throw new Error("D1_ERROR: internal error");
      return call();
    });
    expect((await request("GET", "/v1/devices", { token: customer.apiKey })).status).toBe(200);
  });
});

describe("while D1 fails for minutes", () => {
  it.each(["before", "after"] as const)(
    "sends are refused without charge (an error %s it took effect)",
    async (how) => {
      const { customer, device, host } = await pairedCustomer();
      d1Fails(how);
      const answers = await Promise.all(
        Array.from({ length: 5 }, async () =>
          packetsOf(await send(customer, [{ number: nextRecipient(), message: freshText() }])),
        ),
      );
      for (const [told] of answers) expect(told).toMatchObject({ sendingstatus: 90, price: 0 });
      setSaboteur(null);
      // Whatever was committed meanwhile is given back, and never sent. Nobody goes on proving by now.
      vi.setSystemTime(Date.now() + MINUTE_MS);
      await operator("POST", "/cron");
      expect(host.here("command")).toEqual([]);
      await runDurableObjectAlarm(device.stub);
      await vi.waitFor(
        async () =>
          expect(await foldOf(customer.accountId)).toMatchObject({ available: 100_000, held: 0 }),
        10_000,
      );
    },
    60_000,
  );

  it("devices deliver what they hold, and the ends are booked when D1 is back, each once", async () => {
    const { customer, device, host } = await pairedCustomer();
    const startMs = Date.now();
    const packets = Array.from({ length: 8 }, (_, index) => ({
      number: nextRecipient(),
      message: freshText(),
      sendingdatetime: wallTime(startMs + index * MINUTE_MS),
    }));
    const ids: number[] = [];
    for (const packet of packets) {
      for (const told of packetsOf(await send(customer, [packet]))) ids.push(told.sendingid);
    }
    expect(ids.filter((id) => id > 0)).toHaveLength(8);
    d1Fails("before");
    for (const [index] of packets.entries()) {
      await passTime(device, MINUTE_MS);
      const command = await host.command("send");
      expect(await host.commitFor(command)).toBe("committed");
      await host.ack(command, index === 7 ? 479 : null);
    }
    expect(await Promise.all(ids.map(kindsOf))).toEqual(ids.map(() => ["hold"]));
    d1Fails("after");
    for (let minute = 0; minute < 6; minute += 1) await passTime(device, MINUTE_MS);
    setSaboteur(null);
    for (let minute = 0; minute < 6; minute += 1) await passTime(device, MINUTE_MS);
    await vi.waitFor(async () => {
      expect(await Promise.all(ids.map(kindsOf))).toEqual([
        ...Array.from({ length: 7 }, () => ["hold", "settle"]),
        ["hold", "void"],
      ]);
    }, 10_000);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 0, revenue: 7 * 200 });
    expect(await findDifferences(env.DB)).toEqual({ accounts: [], periods: [], messages: [] });
  }, 60_000);

  it("a message that comes while the books are silent is handed over at once: D1 is not on its way", async () => {
    const { device, host } = await pairedCustomer();
    const { speak } = d1Silent();
    const startedMs = performance.now();
    await enqueue(device, messageTo(nextRecipient()));
    const command = await host.command("send");
    expect(await host.commitFor(command)).toBe("committed");
    await host.ack(command);
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    await speak();
  });

  it("the books catch up also with an answer that comes twenty seconds late, and book nothing twice", async () => {
    const { customer, device, host } = await pairedCustomer();
    const [told] = packetsOf(
      await send(customer, [{ number: nextRecipient(), message: freshText() }]),
    );
    const id = told?.sendingid ?? 0;
    const command = await host.command("send");
    await host.commitFor(command);
    const { speak } = d1Silent();
    await host.ack(command);
    // The flush gives up after its ten seconds and tries again beside the call that still hangs.
    await vi.waitFor(
      async () => {
        await runDurableObjectAlarm(device.stub);
        expect(warnings.join()).toContain("ends not recorded");
      },
      { timeout: 20_000, interval: 200 },
    );
    await speak();
    for (let minute = 0; minute < 3; minute += 1) await passTime(device, MINUTE_MS);
    await vi.waitFor(async () => expect(await kindsOf(id)).toEqual(["hold", "settle"]), 10_000);
    expect(await foldOf(customer.accountId)).toMatchObject({ held: 0, revenue: 200 });
  }, 60_000);

  it("the cron reports each of its jobs and does them a minute later", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => undefined);
    d1Fails("before");
    await operator("POST", "/cron");
    const jobs = errors.mock.calls.map(([line]) => JSON.parse(String(line)) as { job?: string });
    expect(new Set(jobs.map(({ job }) => job)).size).toBeGreaterThan(5);
    setSaboteur(null);
    errors.mockClear();
    await operator("POST", "/cron");
    expect(errors).not.toHaveBeenCalled();
  });
});
