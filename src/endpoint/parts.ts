/**
 * Puts the parts of an endpoint together: the one place that knows all of them. Holds no rules.
 */
import { readConfig } from "../config.ts";
import { recordEndpointEvents } from "../directory/endpoint-events.ts";
import type { Clock } from "../domain/clock.ts";
import type { RandomBytes } from "../domain/id.ts";
import type { WebhookUrlRules } from "../domain/webhook-url.ts";
import { AttemptLog } from "./attempt-log.ts";
import { Dispatch } from "./dispatch.ts";
import { Health } from "./health.ts";
import { Intake, QUEUE_BOUND } from "./intake.ts";
import { Notices } from "./notices.ts";
import { Queue } from "./queue.ts";
import { EndpointRecord } from "./record.ts";
import { Retention } from "./retention.ts";
import { TextSeal } from "./text-seal.ts";

export interface Surroundings {
  ctx: DurableObjectState;
  env: Cloudflare.Env;
  clock: Clock;
  random: RandomBytes;
  background: (work: Promise<void>) => void;
  /** After work in the background: the alarm may be due at another time. */
  onSettled: () => Promise<void>;
}

/** What this gateway as a whole allows; the tick for plain http is the endpoint's own. */
export function gatewayUrlRules(env: Cloudflare.Env): Omit<WebhookUrlRules, "allowHttp"> {
  const config = readConfig(env);
  return {
    allowLoopback: config.WEBHOOK_LOOPBACK === "allow",
    ownHosts: config.WEBHOOK_OWN_HOSTS,
  };
}

export type Parts = ReturnType<typeof buildParts>;

/** For an object that has its tables and its identity. */
export function buildParts({ ctx, env, clock, random, background, onSettled }: Surroundings) {
  const { sql } = ctx.storage;
  const record = new EndpointRecord(sql);
  const transaction = <T>(work: () => T): T => {
    try {
      return ctx.storage.transactionSync(() => {
        const value = work();
        record.save();
        return value;
      });
    } catch (error) {
      record.reload();
      throw error;
    }
  };
  const seal = new TextSeal(readConfig(env).BODY_KEY, record.state.endpointId, random);
  const queue = new Queue(sql, record);
  const log = new AttemptLog(sql, seal);
  const notices = new Notices(
    sql,
    record,
    async (accountId, events) => recordEndpointEvents(env.DB, accountId, events),
    random,
  );
  const dispatch = new Dispatch({
    record,
    queue,
    log,
    health: new Health(record, notices),
    seal,
    urlRules: gatewayUrlRules(env),
    transaction,
    clock,
    random,
    background,
    onSettled,
  });
  return {
    sql,
    record,
    transaction,
    queue,
    log,
    notices,
    dispatch,
    intake: new Intake({ sql, record, queue, notices, seal, bound: QUEUE_BOUND }),
    retention: new Retention(sql, record, queue, log),
  };
}
