/** Control calls that make things go wrong: acknowledgements, sockets, logins, upgrades. */

import { Hono } from "hono";
import { z } from "zod";
import { accountSchema, numberSchema, readBody } from "./control-body.ts";
import type { Connection } from "./connection.ts";
import type { Network } from "./network.ts";
import { element } from "./stanza.ts";

const countSchema = z.int().min(1).max(1_000_000).nullable();

const ackSchema = z.strictObject({
  account: accountSchema,
  to: accountSchema,
  mode: z.enum(["normal", "hold", "lost", "swallow", "error"]),
  code: z.int().min(400).max(599).default(500),
  count: countSchema.default(null),
});

const releaseSchema = z.strictObject({
  account: numberSchema.optional(),
  to: numberSchema.optional(),
  id: z.string().optional(),
});

const faultSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("drop"), account: accountSchema }),
  z.strictObject({ kind: z.literal("close"), account: accountSchema }),
  z.strictObject({
    kind: z.literal("stream_error"),
    account: accountSchema,
    code: z.int().min(400).max(599),
  }),
  z.strictObject({ kind: z.literal("replaced"), account: accountSchema }),
  z.strictObject({ kind: z.literal("device_removed"), account: accountSchema }),
  z.strictObject({
    kind: z.literal("stop_reading"),
    account: accountSchema,
    ms: z.int().min(1).max(600_000).nullable().default(null),
  }),
  z.strictObject({ kind: z.literal("resume_reading"), account: accountSchema }),
  z.strictObject({
    kind: z.literal("login_failure"),
    account: accountSchema,
    reason: z.int().min(400).max(599),
    count: countSchema.default(1),
  }),
  z.strictObject({
    kind: z.literal("login_delay"),
    account: accountSchema,
    ms: z.int().min(1).max(600_000),
    count: countSchema.default(1),
  }),
  z.strictObject({
    kind: z.literal("refuse_upgrade"),
    status: z.int().min(400).max(599).default(503),
    count: countSchema.default(1),
  }),
  z.strictObject({ kind: z.literal("clear"), account: accountSchema }),
]);

export type FaultCall = z.infer<typeof faultSchema>;

export function faultRoutes(network: Network): Hono {
  const app = new Hono();
  app.get("/faults", (context) =>
    context.json({ ...network.faults.report(), held: network.held.report() }),
  );
  app.post("/faults", async (context) => {
    const read = await readBody(context, faultSchema);
    if ("answer" in read) return read.answer;
    return context.json({ connections: applyFault(network, read.body) });
  });
  app.post("/acks", async (context) => {
    const read = await readBody(context, ackSchema);
    if ("answer" in read) return read.answer;
    const rule = read.body;
    if (rule.mode === "normal" && rule.to === null && rule.count === null)
      network.faults.clearAckRules(rule.account);
    else network.faults.addAckRule(rule);
    return context.json(network.faults.report());
  });
  app.post("/acks/release", async (context) => {
    const read = await readBody(context, releaseSchema);
    return "answer" in read
      ? read.answer
      : context.json({ released: network.held.release(read.body) });
  });
  return app;
}

/** Returns how many connections it met at once; 0 for a fault that waits. */
export function applyFault(network: Network, fault: FaultCall): number {
  const account = "account" in fault ? fault.account : null;
  network.events.emit("fault", account ?? "", { fault: fault.kind });
  const act = actionOf(network, fault);
  if (act === undefined) {
    arm(network, fault);
    return 0;
  }
  const connections = network.connectionsOf(account);
  for (const connection of connections) act(connection);
  return connections.length;
}

function actionOf(
  network: Network,
  fault: FaultCall,
): ((connection: Connection) => void) | undefined {
  const { kind } = fault;
  if (kind === "drop") return (connection) => connection.drop();
  if (kind === "close") return (connection) => connection.close();
  if (kind === "stream_error")
    return (connection) => connection.fail({ code: String(fault.code) }, []);
  if (kind === "replaced")
    return (connection) => connection.fail({}, [element("conflict", { type: "replaced" })]);
  if (kind === "device_removed")
    return (connection) =>
      connection.fail({ code: "401" }, [element("conflict", { type: "device_removed" })]);
  if (kind === "resume_reading") return (connection) => connection.resumeReading();
  if (kind !== "stop_reading") return undefined;
  return (connection) => {
    connection.stopReading();
    if (fault.ms !== null) network.later(fault.ms, () => connection.resumeReading());
  };
}

function arm(network: Network, fault: FaultCall): void {
  const { faults } = network;
  if (fault.kind === "login_failure")
    faults.addLoginFault({
      account: fault.account,
      kind: "failure",
      reason: fault.reason,
      count: fault.count,
    });
  if (fault.kind === "login_delay")
    faults.addLoginFault({
      account: fault.account,
      kind: "delay",
      ms: fault.ms,
      count: fault.count,
    });
  if (fault.kind === "refuse_upgrade")
    faults.refuseUpgrades({ status: fault.status, count: fault.count });
  if (fault.kind === "clear") faults.clear(fault.account);
}
