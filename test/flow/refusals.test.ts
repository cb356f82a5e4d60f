/**
 * What WhatsApp refuses, from end to end: new chats (463), the client's version (405), a place taken by another (440), a
 * connection closed again and again, a ban (403). Judged by the simulated phones, the account's own view and the operator's.
 */
import { beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";

const PAUSED_TIMEOUT_MS = 45_000;

const flow = useFlow({ hosts: 2 });
const contact = "6281310009101";
const customers: Customer[] = [];

beforeAll(async () => {
  for (const last of [1, 2, 3, 4]) customers.push(await flow.customer(`628123463000${last}`));
}, 120_000);

function customerAt(index: number): Customer {
  const customer = customers[index];
  if (customer === undefined) throw new Error("there are four customers");
  return customer;
}

const deviceShape = z.object({
  status: z.string(),
  paused_reason: z.string().nullable(),
  restricted_until: z.string().nullable(),
});

async function view(customer: Customer): Promise<z.infer<typeof deviceShape>> {
  const path = `/v1/devices/${customer.waid}`;
  const answer = await flow.stack.call(
    { method: "GET", path, token: customer.apiKey },
    deviceShape,
  );
  if (!answer.ok) throw new Error(answer.error.reason);
  return answer.value;
}

async function resume(customer: Customer): Promise<void> {
  const path = `/v1/devices/${customer.waid}/resume`;
  const call = { method: "POST" as const, path, token: customer.apiKey };
  expect((await flow.stack.call(call, deviceShape)).ok).toBe(true);
  await flow.untilDevice(customer, "connected");
}

async function untilPaused(customer: Customer, reason: string): Promise<void> {
  await flow.until(
    `a phone to be paused for ${reason}`,
    async () => ((await view(customer)).paused_reason === reason ? true : null),
    PAUSED_TIMEOUT_MS,
  );
  expect((await view(customer)).status).toBe("paused");
}

async function writes(customer: Customer, to: string, text: string): Promise<void> {
  const id = await flow.sendOne(customer, to, text);
  await flow.untilMessage(customer, id, "received");
}

/** Logins of this phone that WhatsApp saw since. */
async function knocks(phone: string, sinceMs: number): Promise<number> {
  const { connections } = await flow.whatsapp.evidence();
  return connections.filter(({ number, openedMs }) => number === phone && openedMs >= sinceMs)
    .length;
}

test("463: strangers wait until the named end, known chats go on, and WhatsApp was asked once", async () => {
  const customer = customerAt(0);
  const [first, second] = ["6281310009201", "6281310009202"];
  await writes(customer, contact, "Pesan kepada yang akan dikenal");
  const untilMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
  await flow.whatsapp.post(`/phones/${customer.phone}/restriction`, { active: true, untilMs });
  const refused = await flow.sendOne(customer, first, "Pesan kepada orang baru pertama");
  expect(await flow.untilMessage(customer, refused, "reject")).toMatchObject({
    reason: "account_restricted",
  });
  await flow.untilMoney(refused, "hold 200", "void 200");
  await flow.until("the end of the restriction", async () =>
    (await view(customer)).restricted_until === new Date(untilMs).toISOString() ? true : null,
  );
  const held = await flow.sendOne(customer, second, "Pesan kepada orang baru kedua");
  await writes(customer, contact, "Pesan kepada yang sudah dikenal");
  expect(await flow.message(customer, held)).toMatchObject({
    status: "pending",
    reason: "account_restricted",
  });
  expect(await flow.whatsapp.shown(second, customer.phone)).toEqual([]);
  expect(await flow.whatsapp.events("restriction_asked", customer.phone)).toHaveLength(1);

  await flow.whatsapp.post(`/phones/${customer.phone}/restriction`, {
    active: false,
    announce: true,
  });
  await flow.untilMessage(customer, held, "received");
  expect((await view(customer)).restricted_until).toBeNull();
});

test("440: one try, then the place is left to whoever took it, until the account resumes", async () => {
  const customer = customerAt(1);
  await flow.whatsapp.post("/faults", { kind: "replaced", account: customer.phone });
  const after = await flow.whatsapp.last();
  await flow.whatsapp.event("online", customer.phone, after);
  await flow.untilDevice(customer, "connected");
  const sinceMs = Date.now();
  await flow.whatsapp.post("/faults", { kind: "replaced", account: customer.phone });
  await untilPaused(customer, "replaced");
  expect(await knocks(customer.phone, sinceMs)).toBe(0);
  const waits = await flow.sendOne(customer, contact, "Pesan yang menunggu dilanjutkan");
  await resume(customer);
  await flow.untilMessage(customer, waits, "received");
});

test("five closes within an hour pause the phone, and nothing knocks any more until it is resumed", async () => {
  const customer = customerAt(1);
  for (let close = 1; close <= 5; close += 1) {
    const after = await flow.whatsapp.last();
    await flow.whatsapp.post("/faults", {
      kind: "stream_error",
      code: 503,
      account: customer.phone,
    });
    if (close < 5) await flow.whatsapp.event("online", customer.phone, after);
    if (close < 5) await flow.untilDevice(customer, "connected");
  }
  const sinceMs = Date.now();
  await untilPaused(customer, "unstable");
  await resume(customer);
  expect(await knocks(customer.phone, sinceMs)).toBe(1);
  await writes(customer, contact, "Pesan setelah dilanjutkan lagi");
});

test("403: the phone is banned, what waits is rejected and costs nothing", async () => {
  const customer = customerAt(2);
  await flow.whatsapp.post("/faults", {
    kind: "login_failure",
    account: customer.phone,
    reason: 403,
  });
  const inADay = new Date(Date.now() + 86_400_000).toISOString().slice(0, 19);
  const { packets } = await flow.send(customer, {
    number: contact,
    message: "Pesan yang dijadwalkan besok",
    sendingdatetime: inADay,
  });
  await flow.whatsapp.post("/faults", { kind: "drop", account: customer.phone });
  await flow.untilDevice(customer, "banned");
  const id = packets[0]?.sendingid ?? 0;
  expect(await flow.untilMessage(customer, id, "reject")).toMatchObject({ reason: "banned" });
  await flow.untilMoney(id, "hold 200", "void 200");
});

test("405: no host knocks with that client any more, one alert is raised, and all come back when it is allowed", async () => {
  const [one, other] = [customerAt(0), customerAt(3)];
  await flow.whatsapp.post("/faults", { kind: "login_failure", reason: 405, count: null });
  const sinceMs = Date.now();
  await flow.whatsapp.post("/faults", { kind: "drop" });
  const shape = z.object({
    hosts: z.array(z.object({ client_version: z.string(), client_refused: z.boolean() })),
  });
  const call = { method: "GET" as const, path: "/operator/hosts", token: flow.stack.operatorToken };
  const version = await flow.until("both hosts to be stopped", async () => {
    const answer = await flow.stack.call(call, shape);
    const hosts = answer.ok ? answer.value.hosts : [];
    return hosts.length === 2 && hosts.every((host) => host.client_refused)
      ? (hosts[0]?.client_version ?? "")
      : null;
  });
  await flow.until("the alert", async () =>
    flow.stack.worker.output.includes("WhatsApp refuses a client version") ? true : null,
  );
  expect(flow.stack.worker.output.split("WhatsApp refuses a client version")).toHaveLength(2);
  const refused = await flow.whatsapp.evidence();
  const seen = refused.connections.filter(
    ({ openedMs, number }) => openedMs >= sinceMs && number !== "",
  );
  // Who was on the way already found it out as well; nobody tried twice.
  expect(new Set(seen.map(({ number }) => number)).size).toBe(seen.length);

  await flow.whatsapp.post("/faults", { kind: "clear" });
  const allow = {
    method: "POST" as const,
    path: `/operator/client-versions/${version}/allow`,
    token: flow.stack.operatorToken,
  };
  const allowed = await fetch(`${flow.stack.url}${allow.path}`, {
    method: allow.method,
    headers: { authorization: `Bearer ${allow.token}` },
    signal: AbortSignal.timeout(5_000),
  });
  expect(allowed.status).toBe(204);
  // The phone that was closed five times may have used up its ten attempts of 75 s, and then waits for that long.
  for (const customer of [one, other]) await flow.untilDevice(customer, "connected");
  await writes(one, contact, "Pesan setelah versinya diizinkan");
});
