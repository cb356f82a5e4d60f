/** /operator/books: the steps of a restore of D1, and how far it is (docs/operations.md, "Restoring D1"). */
import { Hono, type Context } from "hono";
import type { RestoreView } from "../../restore/interface.ts";
import type { ApiEnv } from "../environment.ts";
import { problem } from "../problem.ts";
import { forgottenDevice, parseBody, releaseWish } from "./requests.ts";

const REFUSALS = {
  not_held: {
    status: 409,
    code: "not_held",
    sentence: "Hand-over is not held: POST /operator/books/hold comes first.",
  },
  not_through: {
    status: 409,
    code: "not_through",
    sentence:
      'Devices have yet to tell the books what they know; {"force":true} releases the others.',
  },
} as const;

const NOT_FORGOTTEN = {
  status: 404,
  code: "device_not_forgotten",
  sentence: "No device of that id was forgotten by the books, or its account is not open.",
};

export const books = new Hono<ApiEnv>();

books.get("/", async (c) => {
  const state = await c.get("services").operator.booksState();
  return c.json({ ...shown(state), texts_only_in_books: state.textsOnlyInBooks });
});

books.post("/hold", async (c) => c.json(shown(await c.get("services").operator.restore.hold())));

books.post("/raise", async (c) => {
  const raised = await c.get("services").operator.restore.raise();
  return raised.ok ? c.json(shown(raised.value)) : refused(c, raised.error.reason);
});

books.post("/release", async (c) => {
  const body = await parseBody(c.req.raw, releaseWish);
  if (!body.ok) return problem(body.error, c.get("requestId"));
  const released = await c.get("services").operator.restore.release(body.value.force);
  return released.ok ? c.json(shown(released.value)) : refused(c, released.error.reason);
});

/** For devices that were added after the moment that D1 was set back to. */
books.post("/devices", async (c) => {
  const body = await parseBody(c.req.raw, forgottenDevice);
  if (!body.ok) return problem(body.error, c.get("requestId"));
  const { device_id: deviceId, name, plan } = body.value;
  const entered = await c.get("services").operator.enterAgain(deviceId, { name, planCode: plan });
  return entered === null
    ? problem(NOT_FORGOTTEN, c.get("requestId"))
    : c.json(
        { device_id: entered.deviceId, waid: entered.waid, account_id: entered.accountId },
        201,
      );
});

function refused(c: Context<ApiEnv>, reason: keyof typeof REFUSALS): Response {
  return problem(REFUSALS[reason], c.get("requestId"));
}

function shown({ heldSinceMs, generation, isListing, devices, troubled }: RestoreView) {
  return {
    held_since: heldSinceMs === null ? null : new Date(heldSinceMs).toISOString(),
    books_generation: generation,
    listing: isListing,
    devices,
    troubled: troubled.map((one) => ({
      device_id: one.deviceId,
      waid: one.waid,
      account_id: one.accountId,
      messages_left: one.left,
      obstacle: one.obstacle,
    })),
  };
}
