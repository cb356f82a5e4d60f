/**
 * Alerts with real parts: raised in the Worker and in a session host, they reach the operator's webhook and mailbox,
 * outlive a kill -9 of the Worker, and end when they are acknowledged. Witnesses: the receiver and the mail service.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { useFlow } from "./support/flow.ts";
import { MailApi } from "./support/mail-api.ts";
import { checkSignature, Receiver } from "./support/receiver.ts";
import type { Customer } from "./support/stack.ts";

const PHONE = "6281234570001";
const SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

const receiver = await Receiver.start();
const mailApi = await MailApi.start();
const flow = useFlow({
  vars: {
    WEBHOOK_LOOPBACK: "allow",
    ALERT_WEBHOOK_URL: receiver.url("/alerts"),
    ALERT_WEBHOOK_SECRET: SECRET,
    ALERT_MAIL_TO: "oncall@firm.co.id",
    MAIL_FROM: "kabar@firm.co.id",
    MAIL_API_URL: mailApi.url,
    MAIL_API_TOKEN: mailApi.token,
  },
});
let customer: Customer;

beforeAll(async () => {
  customer = await flow.customer(PHONE);
  flow.keepSecret(SECRET, mailApi.token);
});

afterAll(async () => {
  await receiver.down();
  await mailApi.stop();
});

const alertShape = z.object({
  id: z.number(),
  name: z.string(),
  fields: z.record(z.string(), z.unknown()),
});
type Alert = z.infer<typeof alertShape>;
const listShape = z.object({ alerts: z.array(alertShape) });
const digestShape = z.object({
  type: z.literal("alerts.open"),
  data: z.object({ alerts: z.array(alertShape), more: z.number() }),
});

function told(): Alert[] {
  return receiver
    .at("/alerts")
    .flatMap(({ body }) => digestShape.parse(JSON.parse(body)).data.alerts);
}

async function untilTold(fits: (alert: Alert) => boolean): Promise<Alert> {
  return flow.until("an alert at the receiver", async () => told().find(fits) ?? null);
}

async function listed(): Promise<Alert[]> {
  const token = flow.stack.operatorToken;
  const call = { method: "GET" as const, path: "/operator/alerts", token };
  const answer = await flow.stack.call(call, listShape);
  if (!answer.ok) throw new Error(answer.error.reason);
  return answer.value.alerts;
}

async function operator(path: string, body: object): Promise<void> {
  const token = flow.stack.operatorToken;
  const answer = await flow.stack.call({ method: "POST", path, token, body }, z.unknown());
  if (!answer.ok) throw new Error(`${path}: ${answer.error.reason}`);
}

test("an alert of the Worker reaches webhook and mailbox, although the mail service fails at first", async () => {
  mailApi.failures = 1;
  await operator("/operator/alerts/test", {});
  await untilTold(({ name }) => name === "test of the alerts");
  for (const post of receiver.at("/alerts")) checkSignature(post, SECRET);
  await flow.until("the mail", async () => (mailApi.taken.length > 0 ? true : null));
  expect(mailApi.faults).toEqual(["email.sending.error.internal_server"]);
  expect(mailApi.taken[0]).toMatchObject({
    from: "kabar@firm.co.id",
    to: "oncall@firm.co.id",
    subject: "Kabar alert: test of the alerts",
  });
});

test("an alert of a session host, a process of its own, reaches the same sink", async () => {
  await flow.whatsapp.post("/faults", {
    kind: "login_failure",
    account: PHONE,
    reason: 402,
    count: 1,
  });
  await flow.whatsapp.post("/faults", { kind: "drop", account: PHONE });
  const alert = await untilTold(({ fields }) => fields["kind"] === "blocked");
  expect(alert.name).toBe("a session host needs a person");
  const [host] = await flow.stack.product
    .hosts()
    .then((hosts) => (hosts.ok ? hosts.value.hosts : []));
  expect(alert.fields["hostId"]).toBe(host?.id);
  expect(String(alert.fields["newestDevice"])).toMatch(/^[0-9a-f]{32}$/);
  // The device's own alert about the same turn.
  await untilTold(({ name }) => name === "session needs a person");
});

test("what is open survives a kill -9 of the Worker, and ends when it is acknowledged", async () => {
  const before = await listed();
  expect(before.length).toBeGreaterThan(0);
  await flow.stack.crashWorker();
  const after = await listed();
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  await operator("/operator/alerts/acknowledge", { all: true });
  expect(await listed()).toEqual([]);
});

test("a stranger can neither read, acknowledge nor raise", async () => {
  const { url } = flow.stack;
  const headers = { authorization: `Bearer ${customer.apiKey}` };
  const body = JSON.stringify({ alerts: [{ kind: "crashed", deviceId: null, count: 1 }] });
  const answers = await Promise.all([
    fetch(`${url}/operator/alerts`, { headers }),
    fetch(`${url}/operator/alerts/acknowledge`, { method: "POST", headers, body: '{"all":true}' }),
    fetch(`${url}/bridge/alerts`, { method: "POST", headers, body }),
    fetch(`${url}/bridge/alerts`, { method: "POST", body }),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
});
