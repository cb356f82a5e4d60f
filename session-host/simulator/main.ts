/**
 * `npm run simulator`: a simulated WhatsApp on its own. Reads SIMULATOR_PORT (or PORT), HOST and SIMULATOR_STATE,
 * prints one line with its addresses, and saves its state when asked to stop.
 */

import { z } from "zod";
import { startSimulator } from "./simulator.ts";

const port = z.coerce.number().int().min(0).max(65_535).optional();
const environment = z
  .object({
    SIMULATOR_PORT: port,
    PORT: port,
    HOST: z.string().min(1).default("127.0.0.1"),
    SIMULATOR_STATE: z.string().min(1).optional(),
  })
  .safeParse(process.env);

if (!environment.success) {
  const [issue] = environment.error.issues;
  console.error(
    `simulator: ${issue?.path.join(".") ?? "environment"} is not usable: ${issue?.message ?? ""}`,
  );
  process.exit(1);
}

const { SIMULATOR_PORT, PORT, HOST, SIMULATOR_STATE } = environment.data;

try {
  const simulator = await startSimulator({
    port: SIMULATOR_PORT ?? PORT ?? 8790,
    host: HOST,
    stateFile: SIMULATOR_STATE,
  });
  console.log(`simulator: phones at ${simulator.url}/ - clients connect to ${simulator.wsUrl}`);
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void simulator.close().then(() => process.exit(0));
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
} catch (error) {
  console.error(`simulator: cannot start: ${error instanceof Error ? error.message : "unknown"}`);
  process.exit(1);
}
