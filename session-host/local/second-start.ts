/** Keeps two starts out of one state folder: the one that runs is asked for by its process and its address. */
import { StartFailure } from "./start-failure.ts";
import type { StateFolder } from "./state-folder.ts";

/** Two starts on one state folder would write the same databases. */
export async function refuseSecondStart(state: StateFolder): Promise<void> {
  const dev = state.devFile();
  if (dev === null || dev.processes.supervisor === process.pid) return;
  const answers = isAlive(dev.processes.supervisor) && (await isAnswering(dev.url));
  if (!answers) return;
  throw new StartFailure(
    `Kabar already runs from ${state.path} (pid ${dev.processes.supervisor}, ${dev.url}); stop it first, or set KABAR_DATA to another folder.`,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(2_000) });
    return true;
  } catch {
    return false;
  }
}
