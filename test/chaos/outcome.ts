/** What a run hands to whoever prints or checks it. Shapes only. */
import type { Evidence } from "../flow/support/whatsapp.ts";
import type { ChaosOptions } from "./options.ts";
import type { FaultKind } from "./plan.ts";
import type { LoadRecord } from "./record.ts";
import type { Recovery } from "./recovery.ts";
import type { Witnessed } from "./verdict.ts";

export interface Outcome {
  options: ChaosOptions;
  /** Empty when all is well. */
  wrong: string[];
  record: LoadRecord;
  seen: Witnessed;
  evidence: Evidence;
  faults: ReadonlyMap<FaultKind, number>;
  kills: number;
  recoveries: Recovery[];
  /** How often each alert came, from the logs of all processes. */
  alerts: ReadonlyMap<string, number>;
  /** From the first request to the last fault's end. */
  troubledMs: number;
  lastedMs: number;
  /** Of all processes. */
  output: string;
  /** What WhatsApp saw, a line of JSON each. */
  whatsappLines: readonly string[];
}
