/** GET /v1/inbound: texts that came in at a device, and those typed on its phone. */
import type { InboundView } from "../../gateway/list-inbound.ts";
import {
  answer,
  createRoute,
  EXAMPLE_WAID,
  isoTime,
  limitParam,
  refusals,
  refused,
  timeSchema,
  v1App,
  waidSchema,
  z,
} from "./wire.ts";

const PAGE_MAX = 200;
const PAGE_DEFAULT = 50;

const inboundSchema = z
  .object({
    id: z.string(),
    from_me: z.boolean().openapi({ description: "Typed on the phone itself." }),
    number: z.string().nullable().openapi({
      description: "The other side; null while WhatsApp has named only its LID.",
    }),
    lid: z.string().nullable(),
    name: z.string().nullable(),
    kind: z.string().openapi({ description: "text, or what it was; its content is not kept." }),
    text: z.string().nullable().openapi({ description: "Or the caption of something else." }),
    sent_at: timeSchema,
    received_at: timeSchema,
  })
  .openapi("Inbound");

const INBOUND = {
  id: `in_${EXAMPLE_WAID}_7`,
  from_me: false,
  number: "6281310001001",
  lid: null,
  name: "Budi",
  kind: "text",
  text: "Terima kasih, sudah saya terima.",
  sent_at: "2026-11-22T02:01:00.000Z",
  received_at: "2026-11-22T02:01:01.000Z",
};

export const inbound = v1App();

inbound.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "listInbound",
    summary: "Texts of a device's conversations, newest first",
    description: "Kept 30 days unless the account has another time.",
    tags: ["messages"],
    request: {
      query: z.object({
        device: waidSchema.openapi({ example: EXAMPLE_WAID }),
        cursor: z
          .string()
          .regex(/^\d{1,15}$/)
          .optional()
          .openapi({ description: "next_cursor of the page before." }),
        limit: limitParam(PAGE_MAX, PAGE_DEFAULT),
      }),
    },
    responses: {
      200: answer(
        "A page",
        z.object({ inbound: z.array(inboundSchema), next_cursor: z.string().nullable() }),
        { one: { inbound: [INBOUND], next_cursor: null } },
      ),
      ...refusals("query", { reason: "device_unknown" }),
    },
  }),
  async (c) => {
    const { device, cursor, limit } = c.req.valid("query");
    const before = cursor === undefined ? null : Number(cursor);
    const { listInbound } = c.get("services");
    const page = await listInbound(c.get("caller"), device, before, limit ?? PAGE_DEFAULT);
    if (!page.ok) return refused(c, page.error);
    const { texts, nextBefore } = page.value;
    return c.json(
      {
        inbound: texts.map((text) => inboundShape(device, text)),
        next_cursor: nextBefore === null ? null : String(nextBefore),
      },
      200,
    );
  },
);

function inboundShape(waid: string, view: InboundView): z.infer<typeof inboundSchema> {
  return {
    id: `in_${waid}_${view.n}`,
    from_me: view.fromMe,
    number: view.phone,
    lid: view.lid,
    name: view.name,
    kind: view.kind,
    text: view.text,
    sent_at: isoTime(view.sentMs),
    received_at: isoTime(view.receivedMs),
  };
}
