/** The controls of the sabotaging Worker and of the simulator, as a test uses them. Judges nothing. */
import { z } from "zod";
import type { Outage, Plan, Report, Sabotage } from "./sabotage-plan.ts";
import type { Stack } from "./stack.ts";

const TIMEOUT_MS = 60_000;

export class Saboteurs {
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  arm(at: number, how: Sabotage): Promise<Report> {
    return this.#control({ plan: { at, how } });
  }

  disarm(): Promise<Report> {
    return this.#control({ plan: null });
  }

  /** D1 fails as a whole; null: it is well again. */
  outage(outage: Outage | null): Promise<Report> {
    return this.#control({ outage });
  }

  /** Moves the Worker's clock forward. */
  moveTime(moveMs: number): Promise<Report> {
    return this.#control({ moveMs });
  }

  async report(): Promise<Report> {
    return (await this.#fetch("/test/sabotage")) as Report;
  }

  /** Rows of a reading statement on D1. */
  async sql<T>(sql: string, shape: z.ZodType<T>): Promise<T[]> {
    return z.array(shape).parse(await this.#fetch("/test/sql", { sql }));
  }

  async behave(behaviour: Record<string, unknown>): Promise<void> {
    await this.#stack.control("POST", "/behaviour", behaviour, z.unknown());
  }

  async #control(body: {
    plan?: Plan | null;
    moveMs?: number;
    outage?: Outage | null;
  }): Promise<Report> {
    return (await this.#fetch("/test/sabotage", body)) as Report;
  }

  async #fetch(path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${this.#stack.url}${path}`, {
      method: body === undefined ? "GET" : "POST",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`${path} answered ${response.status}`);
    return response.json();
  }
}
