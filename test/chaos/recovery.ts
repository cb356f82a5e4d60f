/**
 * How long phones are silent after a single loss: one host killed, one stopped in order, the Worker killed, each with
 * nothing else going wrong and the load going on. Counted from the loss to WhatsApp's first acknowledgement after it,
 * by WhatsApp's own log. Repairs nothing.
 */
import { setTimeout as pause } from "node:timers/promises";
import { systemClock } from "../../src/domain/clock.ts";
import type { Stack } from "../flow/support/stack.ts";
import type { FaultParts } from "./faults.ts";
import type { Seats } from "./seats.ts";
import type { WhatsappMoment } from "./whatsapp-log.ts";

export interface Recovery {
  what: "host killed" | "host stopped" | "Worker killed";
  /** Null: none was asked for. */
  targetMs: number | null;
  /** Of each phone that lost its connection, until it was logged in again. */
  backMs: number[];
  /** Until WhatsApp acknowledged a text of it again. */
  sendingMs: number[];
}

/** Until the attempts of the trouble before no longer count: a phone makes ten in 75 s at most. */
const SETTLED_MS = 80_000;
const CALM_MS = 8_000;
const WATCH_MS = 22_000;
/** A loss by kill shows at once; a host that stops lets its phones go within its time. */
const LOSS_SHOWS_MS = 3_500;

export async function measureRecovery(
  { seats, stack, log }: FaultParts,
  rounds: number,
): Promise<Recovery[]> {
  const results: Recovery[] = [
    { what: "host killed", targetMs: 15_000, backMs: [], sendingMs: [] },
    { what: "host stopped", targetMs: 3_000, backMs: [], sendingMs: [] },
    { what: "Worker killed", targetMs: null, backMs: [], sendingMs: [] },
  ];
  await pause(SETTLED_MS);
  for (let round = 0; round < rounds; round += 1) {
    for (const result of results) {
      await pause(CALM_MS);
      const at = await busiest(stack, seats);
      const lostMs = systemClock();
      if (result.what === "host killed") await seats.down(at, WATCH_MS, (host) => host.kill());
      else if (result.what === "Worker killed") await stack.crashWorkerd();
      else await seats.down(at, WATCH_MS, (host) => host.terminate());
      await pause(Math.max(0, lostMs + WATCH_MS - systemClock()));
      note(result, log.moments, lostMs);
    }
  }
  return results;
}

/** The seat whose host runs the most phones. */
async function busiest(stack: Stack, seats: Seats): Promise<number> {
  const answer = await stack.product.hosts();
  const devices = new Map(
    answer.ok ? answer.value.hosts.map((host) => [host.id, host.devices]) : [],
  );
  const loads = seats.all.map(
    ({ process }) => devices.get(stack.hostIds[stack.hosts.indexOf(process)] ?? "") ?? 0,
  );
  return loads.indexOf(Math.max(...loads));
}

/** Of a Worker that was killed nobody need lose a connection: there every phone is watched. */
function note(result: Recovery, moments: readonly WhatsappMoment[], lostMs: number): void {
  const later = moments.filter(({ atMs }) => atMs >= lostMs && atMs <= lostMs + WATCH_MS);
  const lost = later.filter(
    ({ kind, atMs }) => kind === "disconnected" && atMs <= lostMs + LOSS_SHOWS_MS,
  );
  const everybody = result.what === "Worker killed";
  for (const number of new Set((everybody ? later : lost).map((moment) => moment.number))) {
    if (!wrote(moments, number, lostMs)) continue;
    const own = later.filter((moment) => moment.number === number);
    const goneMs = own.find(({ kind }) => kind === "disconnected")?.atMs ?? lostMs;
    const back = own.find(({ kind, atMs }) => kind === "online" && atMs >= goneMs);
    const fromMs = everybody ? lostMs : (back?.atMs ?? Number.POSITIVE_INFINITY);
    const sending = own.find(({ kind, atMs }) => kind === "taken" && atMs >= fromMs);
    if (back !== undefined) result.backMs.push(back.atMs - lostMs);
    result.sendingMs.push(sending === undefined ? Number.POSITIVE_INFINITY : sending.atMs - lostMs);
  }
}

/** Whose money is spent writes no more, lost or not. */
function wrote(moments: readonly WhatsappMoment[], number: string, lostMs: number): boolean {
  return moments.some(
    (moment) =>
      moment.number === number &&
      moment.kind === "taken" &&
      moment.atMs < lostMs &&
      moment.atMs > lostMs - WATCH_MS,
  );
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
