/** What the counting Worker tells; shared by workerd and Node. */
import { z } from "zod";

export const countsReport = z.object({
  /** Calls through the seam, by kind and name. */
  crossings: z.record(z.string(), z.number()),
  /** By the call that wrote them. */
  d1Rows: z.record(z.string(), z.number()),
  /** Of Device objects, without alarms. */
  objectRows: z.number(),
  /** Each counts as one row. */
  alarms: z.number(),
  /** The object's rows by verb and table. */
  byStatement: z.record(z.string(), z.number()),
});
export type Counts = z.infer<typeof countsReport>;
