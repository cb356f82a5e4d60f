/**
 * The state folder of a local start: drawn secrets, what the demo created, dev.json, logs, and the stores of the
 * Worker and the simulator. Everything in it is for this user's eyes only (0700, 0600). It never prints a value.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { RandomBytes } from "../../src/domain/id.ts";
import { drawSecrets } from "./secrets.ts";
import { StartFailure } from "./start-failure.ts";

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

const stored = z.object({
  version: z.literal(1),
  bodyKey: z.string(),
  fingerprintKey: z.string(),
  operatorToken: z.string(),
  sealKey: z.string(),
  sealProofs: z.string(),
  host: z.object({ id: z.string(), token: z.string() }).nullable(),
  demo: z
    .object({ accountId: z.number(), apiKey: z.string().nullable(), waid: z.string().nullable() })
    .nullable(),
  /** The demo account's webhook. */
  endpoint: z.object({ id: z.string(), secret: z.string() }).nullable().default(null),
  /** How many demo texts were sent from this folder; makes each one different. */
  textsSent: z.number().int().nonnegative(),
});
/** The secrets, and what was made with them. */
export type StoredState = z.infer<typeof stored>;

/** What other programs on this machine may read to use the local start. */
export const devFile = z.object({
  url: z.string(),
  apiKey: z.string(),
  waid: z.string(),
  phone: z.string().nullable(),
  /** Numbers that exist on the simulator; empty without one. */
  contacts: z.array(z.string()),
  simulatorUrl: z.string().nullable(),
  /** Where the demo account's webhooks arrive. */
  receiverUrl: z.string().nullable().default(null),
  accountId: z.number(),
  operatorToken: z.string(),
  /** Process ids of the parts, and of the supervisor that watches them. */
  processes: z.object({
    supervisor: z.number(),
    worker: z.number(),
    host: z.number(),
    simulator: z.number().nullable(),
  }),
});
export type DevFile = z.infer<typeof devFile>;

export class StateFolder {
  readonly path: string;
  readonly #random: RandomBytes;

  constructor(path: string, random: RandomBytes) {
    this.path = path;
    this.#random = random;
  }

  create(): void {
    for (const folder of [this.path, this.file("logs")]) {
      mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
      chmodSync(folder, FOLDER_MODE);
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** What is stored; on the first start freshly drawn secrets. */
  load(): StoredState {
    const known = this.#read("secrets.json", stored);
    if (known !== null) return known;
    const drawn = {
      version: 1 as const,
      ...drawSecrets(this.#random),
      host: null,
      demo: null,
      endpoint: null,
      textsSent: 0,
    };
    this.save(drawn);
    return drawn;
  }

  save(value: StoredState): void {
    this.#write("secrets.json", value);
  }

  devFile(): DevFile | null {
    return this.#read("dev.json", devFile);
  }

  saveDevFile(value: DevFile): void {
    this.#write("dev.json", value);
  }

  #read<T>(name: string, shape: z.ZodType<T>): T | null {
    const path = this.file(name);
    if (!existsSync(path)) return null;
    const parsed = shape.safeParse(parseJson(readFileSync(path, "utf8")));
    if (!parsed.success) {
      throw new StartFailure(
        `${path} cannot be read; remove the folder ${this.path} to begin anew.`,
      );
    }
    return parsed.data;
  }

  /** By way of a second file, so that a crash leaves the old one or the new one. */
  #write(name: string, value: unknown): void {
    const path = this.file(name);
    writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: FILE_MODE });
    renameSync(`${path}.new`, path);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
