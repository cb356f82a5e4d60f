/**
 * What the supervisor tells the process that runs the Worker, and what that process reports back. Shapes only.
 */
import { z } from "zod";

/** The environment variable that carries the settings as JSON. */
export const EDGE_SETTINGS_VARIABLE = "KABAR_EDGE";

const address = z.object({ host: z.string().min(1), port: z.number().int().min(1).max(65_535) });

export const edgeSettings = z.object({
  /** The Worker's wrangler.toml, relative to the project: bindings, dates, flags, migrations. */
  configPath: z.string().min(1),
  /** Another source than the one the configuration names; null for that one. */
  entry: z.string().min(1).nullable(),
  /** What edge-source.ts read of these two, as JSON in a file; without it they are read at the start. */
  sourcePath: z.string().min(1).optional(),
  /** Where D1 and the objects keep their data. */
  storePath: z.string().min(1),
  /** The Worker's own socket: a loopback address. */
  socket: address,
  /** Another address to serve, with the front before it that sets the callers' addresses. */
  front: address.nullable(),
  /** Vars and secrets of the Worker. */
  vars: z.record(z.string(), z.string()),
  /** Whether wrangler.toml's schedule runs; a test that counts may run the cron itself. */
  cron: z.boolean(),
  /** Whether workerd alone is started again when it dies, as the platform does; otherwise this process ends with it. */
  restarts: z.boolean().optional(),
});
export type EdgeSettings = z.infer<typeof edgeSettings>;

export const edgeReport = z.discriminatedUnion("t", [
  z.object({ t: z.literal("ready"), migrationsApplied: z.number() }),
  z.object({ t: z.literal("failed"), sentence: z.string() }),
]);
export type EdgeReport = z.infer<typeof edgeReport>;

/** What a test may ask of that process: to put a new bundle in the place of the running one. */
export const edgeOrder = z.object({ t: z.literal("redeploy") });
