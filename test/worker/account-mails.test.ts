/** Mail to customers about a webhook in trouble: whom it reaches, what it says, and what a mail service that fails costs. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { recordEndpointEvents } from "../../src/directory/endpoint-events.ts";
import { ACCOUNT_ORDER_KEY, type EventOf } from "../../src/domain/event.ts";
import { mailAccounts } from "../../src/gateway/mail-accounts.ts";
import type { Mail, MailOutcome } from "../../src/outgoing/mailer.ts";
import {
  ACCOUNT_ID,
  newEndpoint,
  Receiver,
  ring,
  Sender,
  statusEvent,
} from "./endpoint-support.ts";
import { newCustomer, operator, request, OPERATOR_TOKEN } from "./support/harness.ts";

const START = "2031-03-03T03:14:15Z";
const HOUR_MS = 3_600_000;
const EMAIL = "pemilik@toko.co.id";

let sent: Mail[] = [];
let outcome: MailOutcome = { kind: "taken" };
let events = 0;

beforeEach(async () => {
  vi.setSystemTime(START);
  sent = [];
  outcome = { kind: "taken" };
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  await env.DB.exec("DELETE FROM account_mails");
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function accountWith(email: string | null): Promise<number> {
  const { accountId } = await newCustomer();
  if (email !== null) await operator("PATCH", `/accounts/${accountId}`, { email });
  return accountId;
}

async function trouble(
  accountId: number,
  stage: EventOf<"endpoint.disabled">["data"]["stage"],
): Promise<void> {
  events += 1;
  await recordEndpointEvents(env.DB, accountId, [
    {
      id: `evt_${events}`,
      type: "endpoint.disabled",
      atMs: Date.now(),
      orderKey: ACCOUNT_ORDER_KEY,
      data: {
        endpoint: "e1",
        url: "https://toko.co.id/hook?token=secret",
        stage,
        reason: stage === "queue_full" ? "queue_full" : "failing",
        failing_since: START,
      },
    },
  ]);
}

async function runMails(): Promise<void> {
  const mailer = async (mail: Mail): Promise<MailOutcome> => {
    sent.push(mail);
    return outcome;
  };
  await mailAccounts({ db: env.DB, mailer }, Date.now());
}

async function waiting(): Promise<number> {
  const row = await env.DB.prepare("SELECT count(*) AS n FROM account_mails").first<{
    n: number;
  }>();
  return row?.n ?? 0;
}

it("warns, and tells of the end, in both languages, without what follows a question mark", async () => {
  const accountId = await accountWith(EMAIL);
  await trouble(accountId, "warning");
  await trouble(accountId, "disabled");
  await trouble(accountId, "queue_full");
  await runMails();
  expect(sent.map(({ to, subject }) => [to, subject])).toEqual([
    [EMAIL, "Webhook Anda gagal / Your webhook fails"],
    [EMAIL, "Webhook Anda dihentikan / Your webhook was stopped"],
  ]);
  for (const { text } of sent) {
    expect(text).toContain("https://toko.co.id/hook (e1)");
    expect(text).not.toContain("secret");
  }
  await runMails();
  expect(sent).toHaveLength(2);
  expect(await waiting()).toBe(0);
});

it("writes to nobody who gave no address, took it back, or closed the account", async () => {
  const [none, withdrawn, closed] = [
    await accountWith(null),
    await accountWith(EMAIL),
    await accountWith(EMAIL),
  ];
  await trouble(none, "disabled");
  await trouble(withdrawn, "disabled");
  await trouble(closed, "disabled");
  await operator("PATCH", `/accounts/${withdrawn}`, { email: null });
  await operator("DELETE", `/accounts/${closed}`);
  await runMails();
  expect(sent).toEqual([]);
  expect(await waiting()).toBe(0);
  const [row] = (
    await env.DB.prepare("SELECT email FROM accounts WHERE id = ?")
      .bind(closed)
      .all<{ email: string | null }>()
  ).results;
  expect(row).toEqual({ email: null });
});

it("tries again ever more rarely while the service fails, under the same id, and calls a person after two days", async () => {
  const alerts = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await trouble(await accountWith(EMAIL), "disabled");
  outcome = { kind: "failed", why: "503" };
  const triedAtHour: number[] = [];
  for (let hour = 0; hour < 60; hour += 1) {
    const before = sent.length;
    await runMails();
    if (sent.length > before) triedAtHour.push(hour);
    vi.setSystemTime(Date.now() + HOUR_MS);
  }
  expect(triedAtHour).toEqual([0, 1, 2, 3, 5, 11, 23, 47]);
  expect(new Set(sent.map(({ id }) => id)).size).toBe(1);
  expect(alerts.mock.calls.join()).toContain("mail given up");
  expect(await waiting()).toBe(0);
});

it("does not insist where the service refuses, nor pile up where there is none", async () => {
  const accountId = await accountWith(EMAIL);
  await trouble(accountId, "disabled");
  outcome = { kind: "refused", why: "E_RECIPIENT_SUPPRESSED" };
  await runMails();
  expect(await waiting()).toBe(0);
  await trouble(accountId, "disabled");
  await mailAccounts({ db: env.DB, mailer: null }, Date.now());
  expect(await waiting()).toBe(0);
});

it("lets twenty mails of an account wait, and no storm of another account keep its own back", async () => {
  const [loud, quiet] = [await accountWith(EMAIL), await accountWith("lain@toko.co.id")];
  for (let n = 0; n < 40; n += 1) await trouble(loud, "disabled");
  await trouble(quiet, "disabled");
  expect(await waiting()).toBe(21);
  await runMails();
  await runMails();
  expect(sent.filter(({ to }) => to === EMAIL)).toHaveLength(20);
  expect(sent.filter(({ to }) => to !== EMAIL)).toHaveLength(1);
});

it("follows from what the endpoint itself met", async () => {
  const receiver = new Receiver();
  receiver.answer = () => new Response("", { status: 410 });
  await env.DB.prepare(
    `INSERT INTO accounts (id, name, email, created_ms) VALUES (?, 'Toko', ?, 0)
     ON CONFLICT (id) DO UPDATE SET email = excluded.email`,
  )
    .bind(ACCOUNT_ID, EMAIL)
    .run();
  const endpoint = await newEndpoint();
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  await runMails();
  expect(sent.map(({ to }) => to)).toEqual([EMAIL]);
  expect(sent[0]?.text).toContain("410");
});

it("takes an address that is one, and no other", async () => {
  const { accountId } = await newCustomer();
  for (const email of ["", "toko", "a@b", `${"x".repeat(250)}@toko.co.id`]) {
    const answer = await request("PATCH", `/operator/accounts/${accountId}`, {
      token: OPERATOR_TOKEN,
      body: JSON.stringify({ email }),
    });
    expect([email, answer.status]).toEqual([email, 422]);
  }
});
