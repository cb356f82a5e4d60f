/**
 * A host knocks: `GET /bridge/devices/{id}` with a ticket or a resume token. Opening with a ticket makes its epoch
 * the current one and takes back what older hosts hold. Refuses anyone else in plain text and says no more than
 * the status needs.
 */
import { HEADER_BOOT, HEADER_HOST_ID, HEADER_RESUME, HEADER_TICKET } from "../bridge/wire.ts";
import { HEADER_PROTOCOLS, PROTOCOLS_OFFERED } from "../bridge/versions.ts";
import type { Clock } from "../domain/clock.ts";
import type { RandomBytes } from "../domain/id.ts";
import type { Caller, Entry, Epochs } from "./epochs.ts";
import type { HandOver } from "./handover.ts";
import type { HostWish } from "./host-wish.ts";
import type { Identity } from "./identity.ts";
import { logInfo } from "../domain/log.ts";
import type { Pairing } from "./pairing.ts";
import { drawSecret, hashOf } from "./secrets.ts";
import type { Bridge } from "./socket.ts";

export interface UpgradeParts {
  identity: Identity;
  epochs: Epochs;
  bridge: Bridge;
  handOver: HandOver;
  pairing: Pairing;
  wish: HostWish;
  random: RandomBytes;
  transaction: (work: () => void) => void;
}

export async function upgrade(
  request: Request,
  parts: UpgradeParts,
  clock: Clock,
): Promise<Response> {
  const { identity, epochs } = parts;
  const refusal = refusalOf(request, identity.state.deviceId);
  if (refusal !== null) return refusal;
  const caller = {
    hostId: request.headers.get(HEADER_HOST_ID) ?? "",
    bootId: request.headers.get(HEADER_BOOT) ?? "",
  };
  const ticket = request.headers.get(HEADER_TICKET);
  const resume = request.headers.get(HEADER_RESUME);
  if (caller.hostId === "" || caller.bootId === "" || (ticket ?? resume) === null) {
    return text("host, boot and a ticket or resume token are needed", 401);
  }
  const [hash, fresh] = await Promise.all([
    hashOf(ticket ?? resume ?? ""),
    drawSecret(parts.random),
  ]);
  const nowMs = clock();
  if (!parts.wish.isWanted) return text("no host is wanted", 409);
  const outcome: { entry: Entry } = { entry: { kind: "unknown" } };
  parts.transaction(() => {
    outcome.entry =
      ticket === null
        ? epochs.enterByResume(hash, caller)
        : epochs.enterByTicket(hash, fresh.hash, caller, nowMs);
    if (outcome.entry.kind === "entered") enter(parts, outcome.entry, nowMs);
  });
  return answer(parts, outcome.entry, caller, ticket === null ? (resume ?? "") : fresh.secret);
}

function refusalOf(request: Request, deviceId: string): Response | null {
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    return text("a WebSocket upgrade is needed", 426);
  }
  const { pathname } = new URL(request.url);
  return pathname === `/bridge/devices/${deviceId}` ? null : text("another device", 403);
}

function answer(parts: UpgradeParts, entry: Entry, caller: Caller, resumeToken: string): Response {
  switch (entry.kind) {
    case "unknown":
      return text("ticket or resume token not good", 403);
    case "epoch_over":
      return text("epoch over", 409);
    case "entered": {
      const pair = new WebSocketPair();
      const [client, server] = [pair[0], pair[1]];
      parts.bridge.makeWayFor(entry.epoch);
      parts.bridge.accept(server, {
        epoch: entry.epoch,
        ...caller,
        resumeToken,
        welcomed: false,
        protocol: 0,
        superseded: false,
        commandSeq: 0,
        factN: 0,
        malformed: 0,
      });
      logInfo("bridge opened", {
        device: parts.identity.state.deviceId,
        host: caller.hostId,
        epoch: entry.epoch,
        resumed: !entry.isNew,
      });
      const headers = { [HEADER_PROTOCOLS]: PROTOCOLS_OFFERED };
      return new Response(null, { status: 101, headers, webSocket: client });
    }
    default:
      return entry satisfies never;
  }
}

/** From here on the keys of every other epoch are refused. */
function enter(
  parts: UpgradeParts,
  entry: Extract<Entry, { kind: "entered" }>,
  nowMs: number,
): void {
  if (!entry.isNew) return;
  const { identity, handOver, pairing } = parts;
  handOver.takeAllBack(nowMs);
  identity.patch({ epoch: entry.epoch });
  pairing.restartUnder(nowMs);
  if (identity.state.status === "connected") identity.become("reconnecting");
}

function text(body: string, status: number): Response {
  return new Response(body, { status });
}
