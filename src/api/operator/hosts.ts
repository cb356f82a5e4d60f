/**
 * /operator/hosts: approving, watching, emptying and removing session hosts; client versions that WhatsApp refuses; and
 * phones that it logged out.
 * A host's token is shown once, in the answer that makes it.
 */
import { Hono, type Context } from "hono";
import { sha256Hex } from "../../domain/digest.ts";
import { randomHex } from "../../domain/id.ts";
import type { ApiEnv } from "../environment.ts";
import { problem, type Problem } from "../problem.ts";
import type { Services } from "../services.ts";
import { newHost, parseBody } from "./requests.ts";

type HostView = Awaited<ReturnType<Services["operator"]["fleet"]["hosts"]>>[number];

const HOST_UNKNOWN: Problem = {
  status: 404,
  code: "host_unknown",
  sentence: "There is no such host.",
};
const CLIENT_UNKNOWN: Problem = {
  status: 404,
  code: "client_version_unknown",
  sentence: "This client version is not refused.",
};

export const hosts = new Hono<ApiEnv>();

hosts.post("/", async (c) => {
  const body = await parseBody(c.req.raw, newHost);
  if (!body.ok) return problem(body.error, c.get("requestId"));
  const { operator: desk, random } = c.get("services");
  const hostId = randomHex(random, 8);
  const token = randomHex(random, 32);
  const approved = await desk.fleet.approveHost({
    hostId,
    name: body.value.name,
    tokenHash: await sha256Hex(token),
    devicesMax: body.value.devices_max,
  });
  if (!approved.ok) throw new Error("a random host id exists");
  return c.json({ id: hostId, token }, 201);
});

hosts.get("/", async (c) => {
  const all = await c.get("services").operator.fleet.hosts();
  return c.json({ hosts: all.map(hostShape) });
});

hosts.delete("/:id", async (c) => {
  const revoked = await c.get("services").operator.fleet.revokeHost(c.req.param("id"));
  return revoked.ok ? c.body(null, 204) : problem(HOST_UNKNOWN, c.get("requestId"));
});

/** Its phones go where there is room; it gets none until this is undone. */
hosts.post("/:id/drain", async (c) => drain(c, c.req.param("id"), true));

hosts.delete("/:id/drain", async (c) => drain(c, c.req.param("id"), false));

export const clientVersions = new Hono<ApiEnv>();

/** WhatsApp refused it (405), and the operator wants it tried again. */
clientVersions.post("/:version/allow", async (c) => {
  const { fleet } = c.get("services").operator;
  const allowed = await fleet.allowClient(c.req.param("version"));
  return allowed.ok ? c.body(null, 204) : problem(CLIENT_UNKNOWN, c.get("requestId"));
});

export const logOuts = new Hono<ApiEnv>();

logOuts.get("/", async (c) => {
  const { heldSinceMs, logOuts: all } = await c.get("services").operator.fleet.logOuts();
  return c.json({
    held_since: heldSinceMs === null ? null : new Date(heldSinceMs).toISOString(),
    log_outs: all.map(({ deviceId, hostId, atMs }) => ({
      device_id: deviceId,
      host_id: hostId,
      at: new Date(atMs).toISOString(),
    })),
  });
});

/** The operator has looked: keys of former pairings are dropped in their time again. */
logOuts.post("/release", async (c) => {
  await c.get("services").operator.fleet.releaseLogOuts();
  return c.body(null, 204);
});

async function drain(c: Context<ApiEnv>, hostId: string, drained: boolean): Promise<Response> {
  const host = await c.get("services").operator.fleet.drainHost(hostId, drained);
  return host.ok ? c.json(hostShape(host.value)) : problem(HOST_UNKNOWN, c.get("requestId"));
}

function hostShape(host: HostView) {
  return {
    id: host.hostId,
    name: host.name,
    devices_max: host.devicesMax,
    connected: host.connected,
    draining: host.draining,
    drained: host.drained,
    client_version: host.clientVersion,
    client_refused: host.clientRefused,
    protocol: host.protocol,
    devices: host.devices,
  };
}
