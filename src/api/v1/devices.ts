/** /v1/devices: phones of the account, as their objects see them. Pairing QRs and codes are for the owner's eyes. */
import { parsePhoneNumber } from "../../domain/phone-number.ts";
import {
  changeBody,
  DEVICE,
  RESUMED,
  deviceSchema,
  deviceShape,
  nameSchema,
  textsKeptSchema,
} from "./device-shape.ts";
import {
  answer,
  createRoute,
  EXAMPLE_WAID,
  json,
  refusals,
  refused,
  v1App,
  waidParam,
  z,
} from "./wire.ts";

const tags = ["devices"];
const params = z.object({ waid: waidParam });

export const devices = v1App();

devices.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listDevices",
    summary: "All devices of the account",
    tags,
    responses: {
      200: answer("The devices", z.object({ devices: z.array(deviceSchema) }), {
        one: { devices: [DEVICE] },
      }),
      ...refusals(false),
    },
  }),
  async (c) => {
    const list = await c.get("services").getDevices(c.get("caller"));
    if (!list.ok) return refused(c, list.error);
    const { keyMode } = c.get("caller");
    return c.json({ devices: list.value.map((device) => deviceShape(device, keyMode)) }, 200);
  },
);

devices.openapi(
  createRoute({
    method: "get",
    path: "/{waid}",
    operationId: "getDevice",
    summary: "One device, with the QR while it is being paired",
    tags,
    request: { params },
    responses: {
      200: answer("The device", deviceSchema, { unpaired: DEVICE }),
      ...refusals(false, { reason: "device_unknown" }),
    },
  }),
  async (c) => {
    const { waid } = c.req.valid("param");
    const device = await c.get("services").getDevice(c.get("caller"), waid);
    return device.ok
      ? c.json(deviceShape(device.value, c.get("caller").keyMode), 200)
      : refused(c, device.error);
  },
);

const pairBody = z
  .strictObject({
    phone: z
      .string()
      .nullish()
      .transform((written, context) => {
        if (written === undefined || written === null) return null;
        const digits = parsePhoneNumber(written);
        if (digits !== null) return digits;
        context.addIssue({ code: "custom", message: "is not a mobile number" });
        return z.NEVER;
      })
      .openapi({
        type: ["string", "null"],
        description: "The phone to pair, to get a code for it. Without it: a QR.",
      }),
    texts_kept: textsKeptSchema.optional(),
  })
  .openapi("PairRequest");

devices.openapi(
  createRoute({
    method: "post",
    path: "/{waid}/pair",
    operationId: "pairDevice",
    summary: "Starts pairing, by QR or by a code",
    description:
      "A run that is on already is answered, not doubled. Ask for the device until the QR is there.",
    tags,
    request: {
      params,
      body: {
        required: false,
        content: json(pairBody, {
          code: { phone: "0811-0000-0001" },
          private: { texts_kept: "written_to" },
        }),
      },
    },
    responses: {
      200: answer("The device", deviceSchema, { pairing: { ...DEVICE, status: "pairing" } }),
      ...refusals(true, { reason: "device_unknown" }, { reason: "device_already_paired" }),
    },
  }),
  async (c) => {
    const { waid } = c.req.valid("param");
    const { phone, texts_kept: textsKept } = c.req.valid("json");
    const { changeDevice, pairDevice } = c.get("services");
    if (textsKept !== undefined) {
      const chosen = await changeDevice(c.get("caller"), waid, { textsKept });
      if (!chosen.ok) return refused(c, chosen.error);
    }
    const device = await pairDevice(c.get("caller"), waid, phone ?? null);
    return device.ok
      ? c.json(deviceShape(device.value, c.get("caller").keyMode), 200)
      : refused(c, device.error);
  },
);

devices.openapi(
  createRoute({
    method: "post",
    path: "/{waid}/unpair",
    operationId: "unpairDevice",
    summary: "Logs the linked device out; the queue stays",
    tags,
    request: { params },
    responses: {
      200: answer("The device", deviceSchema, { unpaired: DEVICE }),
      ...refusals(false, { reason: "device_unknown" }, { reason: "device_not_paired" }),
    },
  }),
  async (c) => {
    const { waid } = c.req.valid("param");
    const device = await c.get("services").unpairDevice(c.get("caller"), waid);
    return device.ok
      ? c.json(deviceShape(device.value, c.get("caller").keyMode), 200)
      : refused(c, device.error);
  },
);

devices.openapi(
  createRoute({
    method: "post",
    path: "/{waid}/resume",
    operationId: "resumeDevice",
    summary: "Tries a paused phone again; what waits was kept",
    description:
      "paused_reason says why it is paused. After `replaced` look for another program that uses the same WhatsApp session; after `unstable` or `blocked` look at the phone first: trying on against WhatsApp's will may cost the number.",
    tags,
    request: { params },
    responses: {
      200: answer("The device", deviceSchema, { resumed: RESUMED }),
      ...refusals(false, { reason: "device_unknown" }, { reason: "device_not_paused" }),
    },
  }),
  async (c) => {
    const { waid } = c.req.valid("param");
    const device = await c.get("services").resumeDevice(c.get("caller"), waid);
    return device.ok
      ? c.json(deviceShape(device.value, c.get("caller").keyMode), 200)
      : refused(c, device.error);
  },
);

const deviceBody = z.strictObject({ name: nameSchema }).openapi("DeviceRequest");

devices.openapi(
  createRoute({
    method: "post",
    path: "/",
    operationId: "createDevice",
    summary: "A new device, without a phone and without a package",
    description:
      "Packages are sold by the operator. Until the device has one, sending from it is refused (package_expired).",
    tags,
    request: {
      body: { required: true, content: json(deviceBody, { second: { name: "Apotek" } }) },
    },
    responses: {
      201: answer("The device", deviceSchema, { created: { ...DEVICE, name: "Apotek" } }),
      ...refusals(true, { reason: "too_many_devices", max: 0 }),
    },
  }),
  async (c) => {
    const { name } = c.req.valid("json");
    const device = await c.get("services").addOwnDevice(c.get("caller"), name);
    return device.ok
      ? c.json(deviceShape(device.value, c.get("caller").keyMode), 201)
      : refused(c, device.error);
  },
);

devices.openapi(
  createRoute({
    method: "patch",
    path: "/{waid}",
    operationId: "changeDevice",
    summary: "Another name, or another choice whose texts are kept",
    tags,
    request: {
      params,
      body: {
        required: true,
        content: json(changeBody, {
          rename: { name: "Loket 2" },
          private: { texts_kept: "written_to" },
        }),
      },
    },
    responses: {
      200: answer("The device", deviceSchema, { renamed: { ...DEVICE, name: "Loket 2" } }),
      ...refusals(true, { reason: "device_unknown" }),
    },
  }),
  async (c) => {
    const { waid } = c.req.valid("param");
    const { name, texts_kept: textsKept } = c.req.valid("json");
    const device = await c.get("services").changeDevice(c.get("caller"), waid, {
      ...(name === undefined ? {} : { name }),
      ...(textsKept === undefined ? {} : { textsKept }),
    });
    return device.ok
      ? c.json(deviceShape(device.value, c.get("caller").keyMode), 200)
      : refused(c, device.error);
  },
);

const deletedSchema = z.object({ id: z.string(), deleted: z.literal(true) }).openapi("Deleted");

devices.openapi(
  createRoute({
    method: "delete",
    path: "/{waid}",
    operationId: "deleteDevice",
    summary: "Deletes a device for ever",
    description:
      "The phone is logged out, what waits is cancelled and costs nothing. Its messages can still be read one by one.",
    tags,
    request: { params },
    responses: {
      200: answer("It is gone", deletedSchema, { deleted: { id: EXAMPLE_WAID, deleted: true } }),
      ...refusals(false, { reason: "device_unknown" }),
    },
  }),
  async (c) => {
    const { waid } = c.req.valid("param");
    const deleted = await c.get("services").deleteDevice(c.get("caller"), waid);
    return deleted.ok
      ? c.json({ id: waid, deleted: true as const }, 200)
      : refused(c, deleted.error);
  },
);
