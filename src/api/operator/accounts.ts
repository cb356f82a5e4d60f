/** /operator/accounts/{id}: what the operator may change about an account, and closing it for good. */
import { Hono } from "hono";
import type { ApiEnv } from "../environment.ts";
import { problem, SYSTEM_UNAVAILABLE } from "../problem.ts";
import { accountChange, parseBody, pathNumber } from "./requests.ts";

const UNKNOWN = { status: 404, code: "account_unknown", sentence: "There is no such account." };

export const accountChanges = new Hono<ApiEnv>();

accountChanges.patch("/:id", async (c) => {
  const requestId = c.get("requestId");
  const body = await parseBody(c.req.raw, accountChange);
  if (!body.ok) return problem(body.error, requestId);
  const { texts_kept_days: textsKeptDays, low_balance: lowBalanceRupiah, email } = body.value;
  const changed = await c.get("services").operator.changeAccount(pathNumber(c.req.param("id")), {
    ...(textsKeptDays === undefined ? {} : { textsKeptDays }),
    ...(lowBalanceRupiah === undefined ? {} : { lowBalanceRupiah }),
    ...(email === undefined ? {} : { email }),
  });
  if (changed === null) return problem(UNKNOWN, requestId);
  // Every step may be repeated.
  return changed.unreached > 0 ? problem(SYSTEM_UNAVAILABLE, requestId) : c.body(null, 204);
});

/** To be repeated until nothing is unreached. */
accountChanges.delete("/:id", async (c) => {
  const closed = await c.get("services").operator.closeAccount(pathNumber(c.req.param("id")));
  return closed === null ? problem(UNKNOWN, c.get("requestId")) : c.json(closed);
});
