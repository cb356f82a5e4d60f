/**
 * The operator's API: bearer token in, JSON out. Opens accounts, credits payments, gives out keys and devices,
 * approves hosts, and shows the books. Secrets it makes are shown once, in the answer that makes them.
 */
import { Hono, type Context } from "hono";
import { deviceStatuses, type DeviceStatus } from "../../domain/device-status.ts";
import { sha256Hex } from "../../domain/digest.ts";
import { drawApiKey, shownKeyPrefix } from "../../domain/api-key.ts";
import { addressRange, addressText } from "../../domain/client-address.ts";
import { DAY_MS } from "../../domain/zone.ts";
import { bearerToken, type ApiEnv } from "../environment.ts";
import { problem, SYSTEM_UNAVAILABLE, type Problem } from "../problem.ts";
import { accountChanges } from "./accounts.ts";
import { alerts } from "./alerts.ts";
import { books } from "./books.ts";
import { clientVersions, hosts, logOuts } from "./hosts.ts";
import {
  newAccount,
  newDevice,
  newKey,
  newTopUp,
  parseBody,
  pathNumber,
  unknownKeysQuery,
} from "./requests.ts";

const TOP_UP_LASTS_MS = 365 * DAY_MS;
const TOP_UP_LASTS_MAX_MS = 3_653 * DAY_MS;

const NOT_OPERATOR: Problem = {
  status: 401,
  code: "operator_unknown",
  sentence: "This takes the operator's token.",
};
const ACCOUNT_UNKNOWN: Problem = {
  status: 404,
  code: "account_unknown",
  sentence: "There is no such account.",
};
const REFERENCE_USED: Problem = {
  status: 409,
  code: "reference_used",
  sentence: "This reference was credited before, with another amount or to another account.",
};
const EXPIRY_TOO_FAR: Problem = {
  status: 422,
  code: "body_malformed",
  sentence: "expires_on: is more than ten years ahead.",
};
const RESUME_REFUSALS: Partial<Record<string, Problem>> = {
  device_unknown: {
    status: 404,
    code: "device_unknown",
    sentence: "There is no such device.",
  },
  device_not_paused: {
    status: 409,
    code: "device_not_paused",
    sentence: "The device is not paused.",
  },
};
const QUERY_MALFORMED: Problem = {
  status: 422,
  code: "body_malformed",
  sentence: "address is an address or a range, cursor one that was given, limit 1 to 100.",
};
const STATUS_UNKNOWN: Problem = {
  status: 422,
  code: "body_malformed",
  sentence: `status is one of ${deviceStatuses.join(", ")}.`,
};

export const operator = new Hono<ApiEnv>();

operator.use(async (c, next) => {
  await next();
  c.header("Cache-Control", "no-store");
});

operator.use(async (c, next) => {
  const given = await sha256Hex(bearerToken(c.req.raw));
  if (!sameDigest(given, c.get("services").operator.tokenHash)) return refused(c, NOT_OPERATOR);
  return next();
});

operator.route("/hosts", hosts);
operator.route("/client-versions", clientVersions);
operator.route("/log-outs", logOuts);

operator.post("/accounts", async (c) => {
  const body = await parseBody(c.req.raw, newAccount);
  if (!body.ok) return refused(c, body.error);
  const id = await c.get("services").operator.createAccount({
    name: body.value.name,
    zone: body.value.zone,
    creditLimitRupiah: body.value.credit_limit,
    textLengthMax: body.value.text_length_max,
  });
  return c.json({ id }, 201);
});

operator.route("/accounts", accountChanges);
operator.route("/alerts", alerts);
operator.route("/books", books);

operator.post("/accounts/:id/top-ups", async (c) => {
  const body = await parseBody(c.req.raw, newTopUp);
  if (!body.ok) return refused(c, body.error);
  const { operator: desk, clock } = c.get("services");
  const dayAfter = (ms: number) => new Date(clock() + ms).toISOString().slice(0, 10);
  const expiresOn = body.value.expires_on ?? dayAfter(TOP_UP_LASTS_MS);
  if (expiresOn > dayAfter(TOP_UP_LASTS_MAX_MS)) return refused(c, EXPIRY_TOO_FAR);
  const credited = await desk.topUp({
    accountId: pathNumber(c.req.param("id")),
    amountRupiah: body.value.amount,
    reference: body.value.reference,
    expiresOn,
  });
  if (credited.ok) return c.json({ available: credited.value.availableRupiah });
  return refused(c, credited.error.reason === "account_unknown" ? ACCOUNT_UNKNOWN : REFERENCE_USED);
});

operator.post("/accounts/:id/keys", async (c) => {
  const body = await parseBody(c.req.raw, newKey);
  if (!body.ok) return refused(c, body.error);
  const { operator: desk, random } = c.get("services");
  const apiKey = drawApiKey(random, body.value.mode);
  const id = await desk.createApiKey({
    accountId: pathNumber(c.req.param("id")),
    hash: await sha256Hex(apiKey),
    shownPrefix: shownKeyPrefix(apiKey),
    mode: body.value.mode,
    name: body.value.name,
    anyAddress: body.value.any_address,
    addresses: body.value.addresses.map(addressRange).filter((range) => range !== null),
    encoding: body.value.encoding,
    dedupeWindow: body.value.dedupe_window,
    defaultCategory: body.value.default_category,
  });
  return id === null ? refused(c, ACCOUNT_UNKNOWN) : c.json({ id, api_key: apiKey }, 201);
});

operator.post("/accounts/:id/devices", async (c) => {
  const body = await parseBody(c.req.raw, newDevice);
  if (!body.ok) return refused(c, body.error);
  const device = await c.get("services").operator.createDevice({
    accountId: pathNumber(c.req.param("id")),
    name: body.value.name,
    planCode: body.value.plan,
  });
  if (device === null) return refused(c, ACCOUNT_UNKNOWN);
  return c.json({ waid: device.waid, device_id: device.deviceId }, 201);
});

operator.get("/accounts/:id/balances", async (c) => {
  const balances = await c.get("services").operator.balancesOf(pathNumber(c.req.param("id")));
  return balances === null ? refused(c, ACCOUNT_UNKNOWN) : c.json(balances);
});

operator.get("/messages/:id/transfers", async (c) => {
  const lines = await c.get("services").operator.transfersOfMessage(pathNumber(c.req.param("id")));
  return c.json({
    transfers: lines.map(({ leg, kind, debit, credit, amount, atMs }) => ({
      leg,
      kind,
      debit,
      credit,
      amount,
      at: new Date(atMs).toISOString(),
    })),
  });
});

operator.get("/devices", async (c) => {
  const status = statusAsked(c);
  if (status === "unknown") return refused(c, STATUS_UNKNOWN);
  const devices = await c.get("services").operator.devicesWithStatus(status);
  return c.json({
    devices: devices.map((device) => ({
      device_id: device.deviceId,
      waid: device.waid,
      account_id: device.accountId,
      name: device.name,
      status: device.status,
      phone: device.phone,
    })),
  });
});

/** Tries a paused phone again. */
operator.post("/devices/:waid/resume", async (c) => {
  const device = await c.get("services").operator.resumeDevice(c.req.param("waid"));
  if (!device.ok) return refused(c, RESUME_REFUSALS[device.error.reason] ?? SYSTEM_UNAVAILABLE);
  return c.json({ waid: device.value.waid, status: device.value.status });
});

/** Requests with keys that nobody has, by hour and address. */
operator.get("/requests", async (c) => {
  const query = unknownKeysQuery.safeParse(c.req.query());
  if (!query.success) return refused(c, QUERY_MALFORMED);
  const { address, cursor, limit } = query.data;
  const [hour = "", before = ""] = cursor?.split("-") ?? [String(Number.MAX_SAFE_INTEGER)];
  const rows = await c.get("services").operator.unknownKeys({
    before: { hourMs: Number(hour), address: before },
    address: address === undefined ? null : addressRange(address),
    limit: limit + 1,
  });
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return c.json({
    requests: shown.map((row) => ({
      hour: new Date(row.hourMs).toISOString(),
      address: row.address === "" ? null : addressText(row.address),
      count: row.requestCount,
      last_at: new Date(row.lastMs).toISOString(),
      key_prefix: row.keyPrefix,
      endpoint: row.endpoint,
      request_id: row.requestId,
    })),
    next_cursor: last === undefined ? null : `${last.hourMs}-${last.address}`,
  });
});

/** Whether a seal key is still needed: session rows by the key that sealed them, a page of devices each. */
operator.get("/seal-keys", async (c) => {
  const after = c.req.query("cursor") ?? "";
  const page = await c.get("services").operator.sealKeys(after);
  const { rows, devices, unreached, nextAfter } = page;
  return c.json({ rows, devices, unreached, next_cursor: nextAfter });
});

operator.post("/cron", async (c) => {
  await c.get("services").operator.runCron();
  return c.body(null, 204);
});

function refused(c: Context<ApiEnv>, refusal: Problem): Response {
  return problem(refusal, c.get("requestId"));
}

function statusAsked(c: Context<ApiEnv>): DeviceStatus | null | "unknown" {
  const asked = c.req.query("status");
  if (asked === undefined || asked === "") return null;
  return deviceStatuses.find((status) => status === asked) ?? "unknown";
}

/** Compared without telling by its duration how much is right. Both are digests of equal length. */
function sameDigest(left: string, right: string): boolean {
  const encoder = new TextEncoder();
  const [a, b] = [encoder.encode(left), encoder.encode(right)];
  return a.byteLength === b.byteLength && crypto.subtle.timingSafeEqual(a, b);
}
