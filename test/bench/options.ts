/** What may be said on the command line, and what it means for each section. */

export const sectionNames = [
  "accept",
  "log",
  "queue",
  "flood",
  "counts",
  "host",
  "memory",
  "badinput",
  "webhooks",
] as const;
export type SectionName = (typeof sectionNames)[number];

export interface Options {
  sections: SectionName[];
  /** Put the results into docs/bench.md. */
  write: boolean;
  acceptRounds: number;
  acceptSeconds: number;
  /** Messages of one round through the host. */
  hostMessages: number;
  hostRounds: number;
  /** Sent one after the other, to time each. */
  hostSingles: number;
  idleDevices: number[];
  /** Rounds of good sends alone, as many beside bad input, as many beside more good ones. */
  badRounds: number;
  badSeconds: number;
  /** Texts sent one by one, for the time from storing to delivery. */
  webhookSingles: number;
  /** Rounds of draining alone, and as many beside a receiver that hangs. */
  webhookRounds: number;
  webhookDrain: number;
  /** Events of the long queue. */
  webhookQueue: number;
}

const USAGE = `npm run bench -- [--quick] [--write] [${sectionNames.join("|")}] ...`;

/** Throws the usage for anything unknown. */
export function readOptions(args: readonly string[]): Options {
  const flags = args.filter((arg) => arg.startsWith("--"));
  const unknownFlag = flags.find((flag) => flag !== "--quick" && flag !== "--write");
  if (unknownFlag !== undefined) throw new Error(`unknown ${unknownFlag}; ${USAGE}`);
  const named = args.filter((arg) => !arg.startsWith("--")).map(sectionName);
  const sections = named.length > 0 ? named : [...sectionNames];
  const write = flags.includes("--write");
  return flags.includes("--quick")
    ? { sections, write, ...QUICK }
    : { sections, write, ...THOROUGH };
}

const QUICK = {
  acceptRounds: 3,
  acceptSeconds: 1,
  hostMessages: 300,
  hostRounds: 1,
  hostSingles: 30,
  idleDevices: [1, 20],
  badRounds: 4,
  badSeconds: 2,
  webhookSingles: 20,
  webhookRounds: 2,
  webhookDrain: 400,
  webhookQueue: 2_000,
};

const THOROUGH = {
  acceptRounds: 9,
  acceptSeconds: 2,
  hostMessages: 1_000,
  hostRounds: 3,
  hostSingles: 200,
  idleDevices: [1, 50, 200],
  badRounds: 14,
  badSeconds: 4,
  webhookSingles: 40,
  webhookRounds: 4,
  webhookDrain: 3_000,
  webhookQueue: 100_000,
};

function sectionName(arg: string): SectionName {
  const name = sectionNames.find((known) => known === arg);
  if (name === undefined) throw new Error(`unknown section ${arg}; ${USAGE}`);
  return name;
}
