/** The floor Worker as a process of its own, started the same way as the real one: on workerd directly. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { edgeReport } from "../../session-host/local/edge-settings.ts";
import { callJson } from "../../session-host/local/http-call.ts";
import { workerSpec } from "../../session-host/local/parts.ts";
import { freePort } from "../flow/support/free-port.ts";
import { StackProcess } from "../flow/support/stack-process.ts";
import type { Target } from "./load.ts";

export interface RowCounts {
  d1Rows: number;
  objectRows: number;
}

const answer = z.object({ d1Rows: z.number(), objectRows: z.number() });

export class Floor {
  readonly #url: string;
  readonly #process: StackProcess;
  readonly #folder: string;

  constructor(url: string, process: StackProcess, folder: string) {
    this.#url = url;
    this.#process = process;
    this.#folder = folder;
  }

  target(nextText: () => string): Target {
    return {
      url: this.#url,
      path: "/",
      pid: this.#process.pid,
      nextBody: () => JSON.stringify({ text: nextText() }),
      fault: (status, body) => (status === 200 ? null : `the floor answered ${status}: ${body}`),
    };
  }

  /** Rows of one request, counted by the databases themselves. */
  async countRows(text: string): Promise<RowCounts> {
    const counted = await callJson({ method: "POST", url: this.#url, body: { text } }, answer);
    if (!counted.ok) throw new Error("the floor does not answer");
    return counted.value;
  }

  async prepare(): Promise<void> {
    await callJson({ method: "POST", url: this.#url, body: { text: "" } }, z.unknown());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export async function startFloor(): Promise<Floor> {
  const folder = await mkdtemp(join(tmpdir(), "kabar-floor-"));
  const port = await freePort();
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  const process = new StackProcess(
    workerSpec({
      configPath: "test/bench/floor-wrangler.toml",
      entry: "test/bench/floor-worker.ts",
      storePath: join(folder, "edge"),
      socket: { host: "127.0.0.1", port },
      front: null,
      vars: {},
      cron: false,
    }),
    (message) => {
      const report = edgeReport.safeParse(message);
      if (!report.success) return;
      if (report.data.t === "ready") resolve();
      else reject(new Error(report.data.sentence));
    },
  );
  const floor = new Floor(`http://127.0.0.1:${port}`, process, folder);
  await ready;
  await floor.prepare();
  return floor;
}
