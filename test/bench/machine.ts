/** What kind of machine the figures come from; no names and no paths. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, totalmem } from "node:os";
import { z } from "zod";

const versioned = z.object({ version: z.string() });

export function machineLine(): string {
  const path = createRequire(import.meta.url).resolve("workerd/package.json");
  const workerd = versioned.parse(JSON.parse(readFileSync(path, "utf8"))).version;
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  const processor = cpus()[0]?.model.trim() ?? "unknown";
  return `${availableParallelism()} cores (${processor}), ${gibibytes} GiB, ${process.platform}-${process.arch}, Node ${process.version}, workerd ${workerd}`;
}
