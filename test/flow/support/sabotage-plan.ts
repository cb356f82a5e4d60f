/** What the sabotaging Worker is told and what it tells. Types only; shared by workerd and Node. */

/**
 * `before` / `after`: the caller dies before the call takes effect, or right after it did.
 * `answer_lost`: the call took effect, the caller gets an error.
 * `answer_late`: the call took effect, its answer comes after every deadline.
 * `effect_late`: the call itself happens after every deadline of its caller.
 */
export type Sabotage = "before" | "after" | "answer_lost" | "answer_late" | "effect_late";

export interface Plan {
  /** Which crossing, counted from 1 since the plan was set; 0 only counts. */
  at: number;
  how: Sabotage;
}

/** Of D1 as a whole, until it is lifted. `errors`: nothing takes effect. `silent`: everything does, once it is lifted. */
export type Outage = "errors" | "silent";

export interface Report {
  /** Crossings since the plan was set, in order. */
  log: string[];
  /** True when the plan's crossing was reached. */
  fired: boolean;
  aheadMs: number;
}
