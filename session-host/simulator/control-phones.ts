/** Control calls about phones: create, show, link, write, receipts, behaviour. */

import { Hono, type Context } from "hono";
import { z } from "zod";
import { behaviourPatchSchema, mergeBehaviour } from "./behaviour.ts";
import { numberSchema, readBody } from "./control-body.ts";
import { normalizeNumber } from "./jid.ts";
import { enterCode, scanQr, unlink, type LinkOutcome } from "./linking.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { forgeReceipt, sendReceipt } from "./receipts.ts";
import { announceRestriction } from "./restriction.ts";
import { sendText } from "./texts.ts";

const settingsSchema = z.strictObject({
  name: z.string().min(1).max(100).optional(),
  registered: z.boolean().nullable().optional(),
  devices: z.int().min(1).max(4).optional(),
  behaviour: behaviourPatchSchema.optional(),
});

const textSchema = z.strictObject({ to: numberSchema, text: z.string().min(1).max(65_536) });
const receiptsSchema = z.strictObject({
  account: numberSchema,
  type: z.enum(["delivered", "read"]),
  id: z.string().optional(),
});
const forgedSchema = z.strictObject({
  account: numberSchema,
  id: z.string().min(1),
  type: z.enum(["delivered", "read", "retry"]),
  withKeys: z.boolean().default(false),
});

const restrictionSchema = z.strictObject({
  active: z.boolean(),
  untilMs: z.int().positive().nullable().default(null),
  announce: z.boolean().default(false),
});

type PhoneHandler = (context: Context, phone: Phone) => Promise<Response>;

export function phoneRoutes(network: Network): Hono {
  const app = new Hono();
  const withPhone = phoneFinder(network);
  addLinkRoutes(app, network);
  addMischiefRoutes(app, network);
  app.get("/phones", (context) =>
    context.json(network.directory.all().map((phone) => summary(network, phone))),
  );
  app.get(
    "/phones/:number",
    withPhone(async (context, phone) =>
      context.json({ ...summary(network, phone), chats: phone.screen.chats() }),
    ),
  );
  app.post(
    "/phones/:number",
    withPhone(async (context, phone) => settings(network, context, phone)),
  );
  app.post(
    "/phones/:number/send",
    withPhone(async (context, phone) => {
      const read = await readBody(context, textSchema);
      if ("answer" in read) return read.answer;
      const id = await sendText(
        network,
        phone,
        network.directory.phone(read.body.to),
        read.body.text,
      );
      return id === undefined
        ? context.json({ error: "number_not_registered" }, 409)
        : context.json({ id });
    }),
  );
  app.post(
    "/phones/:number/receipts",
    withPhone(async (context, phone) => receipts(network, context, phone)),
  );
  app.get("/behaviour", (context) => context.json(network.behaviour));
  app.post("/behaviour", async (context) => {
    const read = await readBody(context, behaviourPatchSchema);
    if ("answer" in read) return read.answer;
    network.behaviour = mergeBehaviour(network.behaviour, read.body);
    network.onChange();
    return context.json(network.behaviour);
  });
  return app;
}

/** Turns the number of the path into a phone, or says that it is none. */
function phoneFinder(
  network: Network,
): (handler: PhoneHandler) => (context: Context) => Promise<Response> {
  return (handler) => async (context) => {
    const number = normalizeNumber(context.req.param("number") ?? "");
    if (number === undefined) return context.json({ error: "not_a_phone_number" }, 400);
    return handler(context, network.directory.phone(number));
  };
}

function addLinkRoutes(app: Hono, network: Network): void {
  const withPhone = phoneFinder(network);
  app.post(
    "/phones/:number/scan",
    withPhone(async (context, phone) => {
      const read = await readBody(context, z.strictObject({ qr: z.string().min(1).max(4_096) }));
      return "answer" in read
        ? read.answer
        : linkAnswer(context, await scanQr(network, phone, read.body.qr));
    }),
  );
  app.post(
    "/phones/:number/link-code",
    withPhone(async (context, phone) => {
      const read = await readBody(context, z.strictObject({ code: z.string().min(1).max(20) }));
      if ("answer" in read) return read.answer;
      return linkAnswer(
        context,
        await enterCode(network, phone, read.body.code.replaceAll("-", "").toUpperCase()),
      );
    }),
  );
  app.post(
    "/phones/:number/unlink",
    withPhone(async (context, phone) => {
      const read = await readBody(context, z.strictObject({ device: z.int().optional() }));
      if ("answer" in read) return read.answer;
      const { device } = read.body;
      const devices = device === undefined ? [...phone.linked.keys()] : [device];
      return context.json({ unlinked: devices.filter((one) => unlink(network, phone, one)) });
    }),
  );
}

function addMischiefRoutes(app: Hono, network: Network): void {
  const withPhone = phoneFinder(network);
  app.post(
    "/phones/:number/forge-receipt",
    withPhone(async (context, phone) => {
      const read = await readBody(context, forgedSchema);
      if ("answer" in read) return read.answer;
      const { account, ...forged } = read.body;
      forgeReceipt(network, phone, network.directory.phone(account), forged);
      return context.json({ ok: true });
    }),
  );
  app.post(
    "/phones/:number/restriction",
    withPhone(async (context, phone) => {
      const read = await readBody(context, restrictionSchema);
      if ("answer" in read) return read.answer;
      const { active, untilMs, announce } = read.body;
      phone.restriction = active ? { untilMs } : null;
      if (announce) announceRestriction(network, phone);
      return context.json({ ok: true });
    }),
  );
  app.post(
    "/phones/:number/forget-sessions",
    withPhone(async (context, phone) => {
      for (let device = 0; device < phone.simulatedDevices; device += 1)
        phone.simulated(device)?.forgetSessions();
      network.onChange();
      return context.json({ ok: true });
    }),
  );
  app.post(
    "/phones/:number/damage-next",
    withPhone(async (context, phone) => {
      const read = await readBody(
        context,
        z.strictObject({ count: z.int().min(0).max(100).default(1) }),
      );
      if ("answer" in read) return read.answer;
      phone.damagedToSend = read.body.count;
      return context.json({ ok: true });
    }),
  );
  app.post(
    "/phones/:number/prekeys",
    withPhone(async (context, phone) => {
      const read = await readBody(context, z.strictObject({ keep: z.int().min(0).max(1_000) }));
      if ("answer" in read) return read.answer;
      for (const linked of phone.linked.values()) linked.keepPreKeys(read.body.keep);
      return context.json({ ok: true });
    }),
  );
}

function summary(network: Network, phone: Phone): Record<string, unknown> {
  return {
    number: phone.number,
    lid: phone.lid,
    name: phone.name,
    registered: network.directory.isRegistered(phone),
    devices: phone.simulatedDevices,
    behaviour: network.behaviourOf(phone),
    messages: phone.screen.size,
    linked: [...phone.linked.values()].map((linked) => ({
      device: linked.device,
      jid: phone.jid("s.whatsapp.net", linked.device),
      online: network.online(phone, linked) !== undefined,
      available: network.online(phone, linked)?.available ?? false,
      preKeys: linked.stock,
      backlog: linked.backlog
        .all()
        .map(({ tag, attrs }) => ({ tag, id: attrs["id"], type: attrs["type"] })),
    })),
  };
}

async function settings(network: Network, context: Context, phone: Phone): Promise<Response> {
  const read = await readBody(context, settingsSchema);
  if ("answer" in read) return read.answer;
  const { name, registered, devices, behaviour } = read.body;
  if (devices !== undefined && !phone.setSimulatedDevices(devices))
    return context.json({ error: "phone_has_linked_devices" }, 409);
  if (name !== undefined) phone.name = name;
  if (registered !== undefined) phone.registered = registered;
  if (behaviour !== undefined) phone.behaviour = { ...phone.behaviour, ...behaviour };
  network.onChange();
  return context.json(summary(network, phone));
}

/** Sends receipts that were held: for one text, or for all texts from the account that lack them. */
async function receipts(network: Network, context: Context, phone: Phone): Promise<Response> {
  const read = await readBody(context, receiptsSchema);
  if ("answer" in read) return read.answer;
  const { account, type, id } = read.body;
  const lacking = type === "delivered" ? ["sent"] : ["sent", "delivered"];
  const chat = phone.screen.chats().find((one) => one.with === account);
  const texts = (chat?.messages ?? []).filter(
    (one) =>
      one.direction === "in" && (id === undefined ? lacking.includes(one.tick) : one.id === id),
  );
  for (const text of texts)
    sendReceipt(network, phone, 0, network.directory.phone(account), text.id, type);
  return context.json({ sent: texts.map((text) => text.id) });
}

function linkAnswer(context: Context, outcome: LinkOutcome): Response {
  return outcome.ok
    ? context.json({ device: outcome.device })
    : context.json({ error: outcome.reason }, 409);
}
