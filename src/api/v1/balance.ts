/** GET /v1/balance: money of the account, messages left of each device. May be asked at any time. */
import { zones } from "../../domain/zone.ts";
import { answer, createRoute, EXAMPLE_WAID, refusals, refused, v1App, z } from "./wire.ts";

const rupiah = z.int();
const day = z.iso.date();

const balanceSchema = z
  .object({
    spendable: rupiah.openapi({ description: "What may still be spent; never negative." }),
    available: rupiah.openapi({ description: "Below zero where the account has a credit limit." }),
    held: rupiah.openapi({ description: "Set aside for messages that have not ended." }),
    owed: rupiah.openapi({ description: "Due; nothing is sent while there is any." }),
    credit_limit: rupiah,
    expires_on: day
      .nullable()
      .openapi({ description: "Last valid day; null before the first top-up." }),
    zone: z.enum(zones),
    devices: z.array(
      z.object({
        id: z.string(),
        name: z.string(),
        plan: z.string().nullable(),
        package: z
          .object({
            quota: z.int().nullable().openapi({ description: "null: unlimited" }),
            used: z.int(),
            left: z.int().nullable(),
            expires_on: day,
          })
          .nullable(),
      }),
    ),
  })
  .openapi("Balance", { description: "Whole rupiah; days in the account's zone, inclusive." });

const BALANCE = {
  spendable: 999_800,
  available: 999_800,
  held: 200,
  owed: 0,
  credit_limit: 0,
  expires_on: "2027-11-22",
  zone: "Asia/Jakarta",
  devices: [
    {
      id: EXAMPLE_WAID,
      name: "Loket",
      plan: "A",
      package: { quota: 6000, used: 1, left: 5999, expires_on: "2026-12-21" },
    },
  ],
};

export const balance = v1App();

balance.openapi(
  createRoute({
    method: "get",
    path: "/",
    operationId: "getBalance",
    summary: "What may still be spent, by the account and by each device",
    tags: ["balance"],
    responses: {
      200: answer("The balance", balanceSchema, { balance: BALANCE }),
      ...refusals(false),
    },
  }),
  async (c) => {
    const found = await c.get("services").accountBalance(c.get("caller"));
    if (!found.ok) return refused(c, found.error);
    const { spendableRupiah, availableRupiah, heldRupiah, owedRupiah, ...rest } = found.value;
    const devices = rest.packages.map(({ waid, name, planCode, period }) => ({
      id: waid,
      name,
      plan: planCode,
      package:
        period === null
          ? null
          : {
              quota: period.quota,
              used: period.used,
              left: period.left,
              expires_on: period.expiresOn,
            },
    }));
    const shown = {
      spendable: spendableRupiah,
      available: availableRupiah,
      held: heldRupiah,
      owed: owedRupiah,
      credit_limit: rest.creditLimitRupiah,
      expires_on: rest.expiresOn,
      zone: rest.zone,
      devices,
    };
    return c.json(shown, 200);
  },
);
