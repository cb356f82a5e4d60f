/**
 * The parts of one local start, supervised: started in order, started again when they die, stopped in order. It
 * tells of deaths and of giving up; what a part is for is decided by its spec.
 */
import type { Clock } from "../../src/domain/clock.ts";
import type { RandomBytes } from "../../src/domain/id.ts";
import { edgeReport } from "./edge-settings.ts";
import { LogFile } from "./log-file.ts";
import { describeExit } from "./part.ts";
import type { PartName, PartSpec } from "./part.ts";
import { PART_TITLES } from "./parts.ts";
import { StartFailure } from "./start-failure.ts";
import { SupervisedPart } from "./supervised-part.ts";

/** Each part's share of the five seconds that a stop may take, in the order of stopping. */
const STOP_ORDER: readonly { name: PartName; graceMs: number }[] = [
  { name: "host", graceMs: 2_000 },
  { name: "worker", graceMs: 1_500 },
  { name: "simulator", graceMs: 1_000 },
];

export interface LocalPartsOptions {
  /** Where a part's output goes. */
  logPath: (name: PartName) => string;
  onNotice: (sentence: string) => void;
  /** After a part runs under a new process id. */
  onPidChange: () => void;
  clock: Clock;
  random: RandomBytes;
}

export class LocalParts {
  readonly #options: LocalPartsOptions;
  readonly #parts = new Map<PartName, SupervisedPart>();
  /** Rejects with a StartFailure when a part is given up; never resolves. */
  readonly givenUp: Promise<never>;
  #wasReady = false;
  #giveUp: (failure: StartFailure) => void = () => undefined;
  #migrated: (count: number) => void = () => undefined;
  readonly workerReady: Promise<number>;

  constructor(options: LocalPartsOptions) {
    this.#options = options;
    this.givenUp = new Promise((_resolve, reject) => {
      this.#giveUp = reject;
    });
    // It is raced against every step of the start; alone it must not end the process.
    this.givenUp.catch(() => undefined);
    this.workerReady = new Promise((resolve) => {
      this.#migrated = resolve;
    });
  }

  pid(name: PartName): number | null {
    return this.#parts.get(name)?.pid ?? null;
  }

  start(spec: PartSpec): void {
    const log = new LogFile(this.#options.logPath(spec.name));
    const title = PART_TITLES[spec.name];
    const part = new SupervisedPart(
      spec,
      title,
      {
        output: (chunk) => log.write(chunk),
        message: (message) => this.#heard(message),
        restarted: (exit, pid) => {
          this.#options.onPidChange();
          const how = exit.signal === null ? "ended" : "was killed";
          this.#options.onNotice(
            `the ${title} ${how} (${describeExit(exit)}); started again, pid ${pid}`,
          );
        },
        givenUp: (sentence) =>
          this.#giveUp(new StartFailure(`${sentence} Its output is in ${log.path}`)),
      },
      this.#options.clock,
      this.#options.random,
    );
    this.#parts.set(spec.name, part);
    part.start();
  }

  /** All parts, in order; those that do not go are made to. */
  async stop(): Promise<void> {
    for (const { name, graceMs } of STOP_ORDER) {
      await this.#parts.get(name)?.stop(graceMs);
    }
  }

  #heard(message: unknown): void {
    const report = edgeReport.safeParse(message);
    if (!report.success) return;
    if (report.data.t === "ready") {
      this.#wasReady = true;
      this.#migrated(report.data.migrationsApplied);
    } else if (!this.#wasReady) {
      // Later on it may be a passing trouble: then the supervision decides.
      this.#giveUp(new StartFailure(report.data.sentence));
    }
  }
}
