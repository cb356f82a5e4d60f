/**
 * Puts the parts of a device together: the one place that knows all of them. Holds no rules.
 */
import { recordMessageEnds } from "../billing/ledger.ts";
import { finishReposting, repostMessages } from "../billing/reposting.ts";
import { readConfig } from "../config.ts";
import { mirrorDeviceStatus } from "../directory/devices.ts";
import type { Clock } from "../domain/clock.ts";
import type { RandomBytes } from "../domain/id.ts";
import { endpointClient } from "../endpoint/client.ts";
import { fleetClient } from "../fleet/client.ts";
import { Archives } from "./archives.ts";
import { Chats } from "./chats.ts";
import { Commands } from "./commands.ts";
import { Counters } from "./counters.ts";
import { Deadlines } from "./deadlines.ts";
import { DeviceNews } from "./device-news.ts";
import { Epochs } from "./epochs.ts";
import { Events } from "./events.ts";
import { Facts } from "./facts.ts";
import { Feeds } from "./feeds.ts";
import { Flush } from "./flush.ts";
import { Frames } from "./frames.ts";
import { HandOver } from "./handover.ts";
import { HostWish } from "./host-wish.ts";
import { Identity } from "./identity.ts";
import { Inbound } from "./inbound.ts";
import { Judgement } from "./judgement.ts";
import { LineLoad } from "./line-load.ts";
import { KeyCommits } from "./key-commits.ts";
import { PRIORITIES } from "./message-row.ts";
import { Messages } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { Pace } from "./pace.ts";
import { Pairing } from "./pairing.ts";
import { Pausing } from "./pausing.ts";
import { Receipts } from "./receipts.ts";
import { Repost, type BooksToTell } from "./repost.ts";
import { Restriction } from "./restriction.ts";
import { Retention } from "./retention.ts";
import { SessionFacts } from "./session-facts.ts";
import { SessionStore } from "./session-store.ts";
import { Bridge } from "./socket.ts";
import { TextSeal } from "./text-seal.ts";
import { StatusMirror } from "./status-mirror.ts";

export interface Surroundings {
  ctx: DurableObjectState;
  env: Cloudflare.Env;
  clock: Clock;
  random: RandomBytes;
  /** Runs work that outlives the event that caused it. */
  background: (work: Promise<void>) => void;
}

/** What is stored, and the transaction that keeps memory in step with it. */
function buildStores({ ctx, env, random }: Surroundings) {
  const { sql } = ctx.storage;
  const identity = new Identity(sql);
  const seal = new TextSeal(readConfig(env).BODY_KEY, identity.state.deviceId, random);
  const outbox = new Outbox(sql, seal);
  const counters = new Counters(sql);
  const events = new Events(sql, identity, counters, seal);
  const chats = new Chats(sql, identity, outbox);
  const inbound = new Inbound(sql, identity, events, counters, seal, chats);
  const sessions = new SessionStore(sql);
  const endpoints = endpointClient(env.ENDPOINTS);
  const { accountId, deviceId } = identity.state;
  const feeds = new Feeds(
    sql,
    events,
    (sender, beforeMs) => inbound.wroteBefore(sender, beforeMs),
    async (endpointId, numbered) =>
      endpoints.deliver(
        { endpointId, accountId },
        { source: { kind: "device", deviceId }, events: numbered },
      ),
    random,
  );
  const archives = new Archives(sessions, async () => fleetClient(env.FLEET).mayDropKeys());
  const retention = new Retention(sql, identity, archives, events, feeds, counters);
  return {
    sql,
    identity,
    outbox,
    sessions,
    archives,
    retention,
    counters,
    events,
    inbound,
    chats,
    feeds,
    news: new DeviceNews(identity, outbox, events),
    epochs: new Epochs(sql, identity),
    expectRetention: (nowMs: number): void => retention.expectWork(nowMs),
    sync: async (): Promise<void> => ctx.storage.sync(),
    transaction: (work: () => void): void => {
      try {
        ctx.storage.transactionSync(work);
      } catch (error) {
        identity.reload();
        outbox.forget();
        events.forget();
        feeds.reload();
        throw error;
      }
    },
  };
}

type Stores = ReturnType<typeof buildStores>;

/** What calls D1 and the Fleet. */
function buildOutward({ identity, outbox, counters }: Stores, { env, random }: Surroundings) {
  return {
    flush: new Flush(
      outbox,
      counters,
      identity.state.accountId,
      async (ends) => recordMessageEnds(env.DB, ends),
      readConfig(env).FLUSH_DELAY_MS,
      random,
    ),
    mirror: new StatusMirror(
      identity,
      async (status) => mirrorDeviceStatus(env.DB, status),
      random,
    ),
    wish: new HostWish(identity, fleetClient(env.FLEET), random),
  };
}

const PRIORITY_MAX = Math.max(...Object.values(PRIORITIES));

/** What brings messages to the host, and takes them from one that is overtaken. */
function buildSending(
  stores: Stores,
  { flush, wish }: ReturnType<typeof buildOutward>,
  { ctx, env, clock, random, background }: Surroundings,
) {
  const { identity, outbox, counters, events, epochs, sync, transaction } = stores;
  const config = readConfig(env);
  const booksBehind = (): void => flush.note(clock());
  const judgement = new Judgement(outbox, counters, events, booksBehind, stores.chats);
  const bridge = new Bridge(ctx);
  const commands = new Commands(identity, bridge, sync, background);
  const restriction = new Restriction({ ...stores, bridge, commands });
  const pace = new Pace(config.PACING === "on", random);
  if (identity.state.openedMs !== null) pace.reconnected(identity.state.openedMs);
  const load = new LineLoad(
    () => outbox.before(PRIORITY_MAX, Number.MAX_SAFE_INTEGER),
    (textLength) => pace.meanStepMs(textLength),
  );
  outbox.tellLoad(load);
  const line = {
    waitingCount: () => outbox.waitingCount(),
    before: (priority: number, dueMs: number) => outbox.before(priority, dueMs),
    load,
  };
  const handOver = new HandOver({
    identity,
    outbox,
    judgement,
    bridge,
    commands,
    pace,
    restriction,
    clock,
    random,
  });
  const closeEpoch = (reason: "new_epoch" | "unpaired" | "shutdown", nowMs: number): void => {
    const { epoch } = identity.state;
    handOver.takeAllBack(nowMs);
    if (epoch === 0) return;
    identity.patch({ epoch: 0 });
    epochs.forget(epoch);
    bridge.revoke(epoch, reason);
    wish.bridgeLost(nowMs);
  };
  const deadlines = new Deadlines(outbox, judgement, handOver, config.FLUSH_DELAY_MS, (nowMs) =>
    transaction(() => closeEpoch("new_epoch", nowMs)),
  );
  return {
    judgement,
    bridge,
    commands,
    pace,
    line,
    restriction,
    handOver,
    closeEpoch,
    deadlines,
    booksBehind,
    closesMax: config.CLOSES_PER_HOUR_MAX,
  };
}

function booksToTell({ env, clock }: Surroundings): BooksToTell {
  return {
    repost: async (device, messages) => repostMessages(env.DB, device, messages, clock()),
    finish: async (device, known) => finishReposting(env.DB, device, known),
  };
}

export type Parts = ReturnType<typeof buildParts>;

/** For an object that has its tables and its identity. */
export function buildParts(around: Surroundings) {
  const stores = buildStores(around);
  const outward = buildOutward(stores, around);
  const sending = buildSending(stores, outward, around);
  const base = { ...stores, ...outward, ...sending };
  const releaseHost = (nowMs: number): void => base.wish.askNow(nowMs);
  const pairing = new Pairing({ ...base, releaseHost });
  const pausing = new Pausing({ ...base, releaseHost });
  const receipts = new Receipts(
    base.outbox,
    base.judgement,
    base.counters,
    base.identity,
    (lid) => base.inbound.phoneOfLid(lid),
    (one, other) => base.inbound.learn(one, other),
  );
  const keyCommits = new KeyCommits(base);
  const session = new SessionFacts({ ...base, pairing, pausing });
  const facts = new Facts({ ...base, pairing, receipts, session });
  const frames = new Frames({
    ...base,
    facts,
    keyCommits,
    receipts,
    pairing,
    background: around.background,
  });
  const messages = new Messages(base);
  const repost = new Repost({ ...base, random: around.random, books: booksToTell(around) });
  return { ...base, random: around.random, pairing, pausing, frames, messages, repost };
}
