/**
 * /v1: bearer key in, JSON out. Every route names its caller and passes it on; who may see what is decided by the
 * gateway. Nothing here may be cached: pairing QRs and codes are secrets.
 */
import { Hono, type Context } from "hono";
import { z } from "zod";
import { parseApiKey } from "../../domain/api-key.ts";
import { sha256Hex } from "../../domain/digest.ts";
import type { RequestFailure } from "../../domain/failure.ts";
import { parsePhoneNumber } from "../../domain/phone-number.ts";
import { err, ok, type Result } from "../../domain/result.ts";
import type { Caller } from "../../gateway/device-answer.ts";
import { bearerToken, boundedBody, clientAddress, type ApiEnv } from "../environment.ts";
import { problem } from "../problem.ts";
import { problemOf } from "./failure.ts";
import { deviceShape, messageShape } from "./shapes.ts";

const BODY_BYTES_MAX = 65_536;

interface V1Env extends ApiEnv {
  Variables: ApiEnv["Variables"] & { caller: Caller };
}

export const v1 = new Hono<V1Env>();

v1.use(async (c, next) => {
  await next();
  c.header("Cache-Control", "no-store");
});

v1.use(async (c, next) => {
  const key = parseApiKey(bearerToken(c.req.raw));
  if (key === null) return refused(c, { reason: "key_unknown" });
  c.set("caller", { keyHash: await sha256Hex(key), address: clientAddress(c.req.raw) });
  return next();
});

v1.get("/devices", async (c) => {
  const devices = await c.get("services").getDevices(c.get("caller"));
  return answered(c, devices, (list) => ({ devices: list.map(deviceShape) }));
});

v1.get("/devices/:waid", async (c) => {
  const device = await c.get("services").getDevice(c.get("caller"), c.req.param("waid"));
  return answered(c, device, deviceShape);
});

v1.post("/devices/:waid/pair", async (c) => {
  const phone = phoneToPair(await boundedBody(c.req.raw, BODY_BYTES_MAX));
  if (!phone.ok) return refused(c, phone.error);
  const { pairDevice } = c.get("services");
  const device = await pairDevice(c.get("caller"), c.req.param("waid"), phone.value);
  return answered(c, device, deviceShape);
});

v1.post("/devices/:waid/unpair", async (c) => {
  const device = await c.get("services").unpairDevice(c.get("caller"), c.req.param("waid"));
  return answered(c, device, deviceShape);
});

v1.get("/messages/:id", async (c) => {
  const id = c.req.param("id");
  if (!/^[1-9]\d{0,13}$/.test(id)) return refused(c, { reason: "message_unknown" });
  const message = await c.get("services").getMessage(c.get("caller"), Number(id));
  return answered(c, message, messageShape);
});

function answered<T>(
  c: Context<V1Env>,
  result: Result<T, RequestFailure>,
  shape: (value: T) => object,
): Response {
  return result.ok ? c.json(shape(result.value)) : refused(c, result.error);
}

function refused(c: Context<V1Env>, failure: RequestFailure): Response {
  return problem(problemOf(failure), c.get("requestId"));
}

const pairBody = z.object({ phone: z.string().nullish() });

/** No body at all means: by QR. */
function phoneToPair(body: string | null): Result<string | null, RequestFailure> {
  if (body === "") return ok(null);
  const parsed = pairBody.safeParse(jsonOf(body));
  if (!parsed.success) {
    return err({
      reason: "body_malformed",
      detail: 'The body must be JSON: {"phone": "…"}, or empty.',
    });
  }
  const { phone } = parsed.data;
  if (phone === null || phone === undefined) return ok(null);
  const digits = parsePhoneNumber(phone);
  if (digits === null) {
    return err({ reason: "body_malformed", detail: "phone is not a mobile number." });
  }
  return ok(digits);
}

function jsonOf(body: string | null): unknown {
  if (body === null) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    // The schema refuses undefined, with a sentence.
    return undefined;
  }
}
