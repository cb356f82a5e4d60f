/** Devices as /v1 shows and takes them: schemas, an example, and the way from what the gateway answers. No routes. */
import type { KeyMode } from "../../domain/api-key.ts";
import { deviceStatuses } from "../../domain/device-status.ts";
import { pauseReasons } from "../../domain/pause-reason.ts";
import { isPlainName } from "../../domain/plain-name.ts";
import { textsKeptChoices } from "../../domain/texts-kept.ts";
import type { DeviceAnswer } from "../../gateway/device-answer.ts";
import { EXAMPLE_WAID, isoTime, timeSchema, z } from "./wire.ts";

const pairingSchema = z
  .object({
    qr: z.string().nullable().openapi({ description: "Text of the QR; a secret." }),
    code: z.string().nullable().openapi({ description: "To be typed on the phone; a secret." }),
    expires_at: timeSchema,
  })
  .openapi("Pairing");

export const textsKeptSchema = z.enum(textsKeptChoices).openapi({
  description:
    "Whose incoming texts are kept and passed on. written_to: of numbers this device has written to.",
});

export const deviceSchema = z
  .object({
    id: z.string().openapi({ description: "The waid: 6 characters, for ever." }),
    name: z.string(),
    status: z.enum(deviceStatuses),
    phone: z.string().nullable().openapi({ description: "Digits of the paired phone." }),
    texts_kept: textsKeptSchema,
    paused_reason: z.enum(pauseReasons).nullable().openapi({
      description:
        "Why the status is paused. client_outdated and store_error end by themselves once the operator has mended the host; the others end by resumeDevice.",
    }),
    restricted_until: timeSchema.nullable().openapi({
      description:
        "WhatsApp lets the phone start no new chats until then: texts to numbers it has no chat with wait. 24 hours from its refusal when WhatsApp does not say. The list of devices does not tell; ask for the one.",
    }),
    pairing: pairingSchema.nullable(),
  })
  .openapi("Device");

/** Who scans the QR owns the phone's session: a test key never sees it. */
export function deviceShape(device: DeviceAnswer, keyMode: KeyMode): z.infer<typeof deviceSchema> {
  const { waid, name, status, phone, textsKept, pairing } = device;
  const { pausedReason, restrictedUntilMs } = device;
  return {
    id: waid,
    name,
    status,
    phone,
    texts_kept: textsKept,
    paused_reason: pausedReason,
    restricted_until: restrictedUntilMs === null ? null : isoTime(restrictedUntilMs),
    pairing:
      pairing === null || keyMode === "test"
        ? null
        : { qr: pairing.qr, code: pairing.code, expires_at: isoTime(pairing.expiresAtMs) },
  };
}

export const DEVICE = {
  id: EXAMPLE_WAID,
  name: "Loket",
  status: "unpaired",
  phone: null,
  texts_kept: "everybody",
  paused_reason: null,
  restricted_until: null,
  pairing: null,
};

export const RESUMED = { ...DEVICE, status: "reconnecting", phone: "6281100000001" };

export const nameSchema = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .refine(isPlainName, "holds no control characters and none that turn the direction of writing");

export const changeBody = z
  .strictObject({ name: nameSchema.optional(), texts_kept: textsKeptSchema.optional() })
  .refine((body) => Object.keys(body).length > 0, "names something to change")
  .openapi("DeviceChange");
