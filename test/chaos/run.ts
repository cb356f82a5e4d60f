/**
 * One run from its beginning to its verdict: a stack of real processes, accounts under load, the plan of faults, the
 * wait for quiet, the comparison. Answers what it found; prints nothing but progress, and leaves nothing behind.
 */
import { systemClock } from "../../src/domain/clock.ts";
import { startStack } from "../flow/support/stack.ts";
import type { Stack } from "../flow/support/stack.ts";
import { Receiver } from "../flow/support/receiver.ts";
import { Stored } from "../flow/support/stored.ts";
import { Whatsapp } from "../flow/support/whatsapp.ts";
import { alertsIn, unexplainedAlerts } from "./alerts.ts";
import { Faults } from "./faults.ts";
import type { FaultParts } from "./faults.ts";
import { Load } from "./load.ts";
import { findOrphans } from "./orphans.ts";
import type { ChaosOptions } from "./options.ts";
import type { Outcome } from "./outcome.ts";
import { ACCOUNTS, planFaults } from "./plan.ts";
import { LoadRecord } from "./record.ts";
import { measureRecovery } from "./recovery.ts";
import type { Recovery } from "./recovery.ts";
import { Seats } from "./seats.ts";
import { settle } from "./settle.ts";
import { makeTenants } from "./tenants.ts";
import type { Tenant } from "./tenants.ts";
import { findWrong } from "./verdict.ts";
import { readScreens, readTenant } from "./witness.ts";
import { WhatsappLog } from "./whatsapp-log.ts";

const CRON_INTERVAL_MS = 10_000;

export async function runChaos(
  options: ChaosOptions,
  tell: (line: string) => void,
): Promise<Outcome> {
  const startedMs = systemClock();
  const pacing = options.isPaced ? "on" : "off";
  const stack = await startStack({
    hosts: 0,
    entry: "test/flow/support/clock-worker.ts",
    restarts: true,
    // More closes than any phone sees in a year: paused for them, it would wait for a person.
    vars: { PACING: pacing, FLUSH_DELAY_MS: "1000", CLOSES_PER_HOUR_MAX: "0" },
  });
  const receiver = await Receiver.start();
  try {
    const seats = await Seats.open(stack);
    try {
      return await trouble({ options, stack, receiver, seats, startedMs, tell });
    } finally {
      seats.close();
    }
  } finally {
    await receiver.down();
    await stack.stop();
  }
}

interface Town {
  options: ChaosOptions;
  stack: Stack;
  receiver: Receiver;
  seats: Seats;
  startedMs: number;
  tell: (line: string) => void;
}

interface Parts extends FaultParts {
  stored: Stored;
  record: LoadRecord;
  load: Load;
  simulatorUrl: string;
}

async function trouble(town: Town): Promise<Outcome> {
  const { options, stack, receiver, seats, startedMs, tell } = town;
  const simulatorUrl = stack.simulator?.url ?? "";
  const whatsapp = new Whatsapp(simulatorUrl);
  const stored = new Stored(stack.storePath, stack.bodyKey);
  const log = new WhatsappLog(simulatorUrl);
  log.start();
  try {
    await whatsapp.post("/behaviour", { readDelayMs: 300 });
    const tenants = await makeTenants(stack, receiver);
    const record = new LoadRecord();
    const load = new Load({ ...options, url: stack.url, whatsapp, tenants, record });
    await load.greet();
    const pairedSeconds = secondsSince(startedMs);
    tell(`${ACCOUNTS} phones on ${seats.all.length} hosts after ${pairedSeconds} s`);
    const parts = { stack, seats, receiver, whatsapp, log, tenants, stored, record, load };
    return await underLoad(town, { ...parts, simulatorUrl });
  } finally {
    await log.stop();
  }
}

async function underLoad(town: Town, parts: Parts): Promise<Outcome> {
  const { options, startedMs, tell } = town;
  const { stack, load, log } = parts;
  const faults = new Faults(parts);
  const cron = setInterval(() => void stack.product.runCron(), CRON_INTERVAL_MS);
  let recoveries: Recovery[] = [];
  const troubleMs = systemClock();
  try {
    load.start();
    await faults.run(planFaults(options), ({ atMs, fault: { kind, target, forMs, code } }) =>
      tell(
        `${clockTime(systemClock())}  ${(atMs / 1_000).toFixed(1)} s  ${kind} ${target} ${forMs} ${code}`,
      ),
    );
    tell(`the faults are over after ${secondsSince(troubleMs)} s`);
    if (options.recoveryRounds > 0) {
      tell("measuring recovery");
      recoveries = await measureRecovery(parts, options.recoveryRounds);
    }
    await faults.calm();
    await load.finish();
  } finally {
    clearInterval(cron);
  }
  const troubledMs = systemClock() - troubleMs;
  tell(`the trouble is over after ${secondsSince(troubleMs)} s`);
  const unsettled = await settle({ ...parts, tell, patienceMs: options.patienceMs });
  await log.stop();
  const { wrong, seen, evidence } = await compare(parts);
  const output = stack.output();
  const alerts = alertsIn(output);
  return {
    options,
    wrong: [...unsettled, ...wrong, ...unexplainedAlerts(alerts)],
    record: parts.record,
    seen,
    evidence,
    faults: faults.done,
    kills: faults.kills,
    recoveries,
    alerts,
    troubledMs,
    lastedMs: systemClock() - startedMs,
    output,
    whatsappLines: log.lines,
  };
}

async function compare(parts: Parts): Promise<Pick<Outcome, "wrong" | "seen" | "evidence">> {
  const { stack, receiver, whatsapp, log, tenants, stored, record, load, simulatorUrl } = parts;
  const seen = {
    tenants: tenants.map((tenant) => readTenant(stored, receiver, tenant)),
    screens: await readScreens(simulatorUrl),
    refusals: log.moments
      .filter(({ kind }) => kind === "refused")
      .map(({ number, to }) => `${number} ${to}`),
    lostAgain: new Set(log.moments.filter(({ kind }) => kind === "lost").map(({ waId }) => waId)),
  };
  const evidence = await whatsapp.evidence();
  const { keyReuses, keyUsedAlready, unexpected, wrongSignatures } = evidence;
  const wrong = [
    ...findWrong(record, seen),
    ...stored.differences().map((what) => `the books differ: ${what}`),
    ...(await findOrphans(stack, whatsapp, tenants)),
    ...unexpected.map((what) => `WhatsApp did not expect: ${what}`),
    ...wrongSignatures.map((what) => `wrong signature: ${what}`),
    ...(keyReuses > 0 ? [`${keyReuses} Signal keys used twice`] : []),
    ...log.moments
      .filter(({ kind }) => kind === "used_key")
      .map(
        ({ atMs, number, to, waId }) =>
          `${clockTime(atMs)} ${number} wrote ${waId} to ${to} under a used key`,
      ),
    ...(keyUsedAlready > 0 ? [`${keyUsedAlready} texts under a used key`] : []),
    ...leaks(stack.output(), stack, tenants, load.mark),
  ];
  return { wrong, seen, evidence };
}

function leaks(output: string, stack: Stack, tenants: readonly Tenant[], mark: string): string[] {
  const numbers = tenants.flatMap(({ customer, contacts }) => [customer.phone, ...contacts]);
  const secrets = [
    ...stack.secrets,
    mark,
    ...tenants.flatMap(({ customer, secret }) => [customer.apiKey, secret]),
    // Logs may not have a number in any form.
    ...numbers.map((number) => number.slice(2)),
  ];
  return secrets
    .filter((secret) => output.includes(secret))
    .map((secret) => `in the output: ${secret}`);
}

function clockTime(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}

function secondsSince(ms: number): string {
  return ((systemClock() - ms) / 1_000).toFixed(1);
}
