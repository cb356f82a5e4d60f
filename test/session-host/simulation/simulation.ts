/** The parts of the simulation that runs, for doubles that the product's code constructs by itself. */
import type { Edge } from "./edge.ts";
import type { Network } from "./network.ts";
import type { SimWhatsApp } from "./whatsapp.ts";
import type { Witness } from "./witness.ts";
import type { World } from "./world.ts";

export interface Simulation {
  world: World;
  network: Network;
  edge: Edge;
  whatsApp: SimWhatsApp;
  witness: Witness;
}

let running: Simulation | null = null;

export function runSimulation(next: Simulation | null): void {
  running = next;
}

export function simulation(): Simulation {
  if (running === null) throw new Error("no simulation runs");
  return running;
}
