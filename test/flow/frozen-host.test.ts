/**
 * A host that stops dead around the key commits of two phones, and another host that takes the phones over
 * meanwhile: whatever the first one does when it wakes, no text is sent twice, no key is used twice, and every text
 * is read.
 */
import { beforeAll, expect, test } from "vitest";
import { BridgeTap } from "./support/bridge-tap.ts";
import type { Verdict } from "./support/bridge-tap.ts";
import { useFlow } from "./support/flow.ts";
import { isStopped } from "./support/process-state.ts";
import { Saboteurs } from "./support/saboteur.ts";
import type { Customer } from "./support/stack.ts";
import type { StackProcess } from "./support/stack-process.ts";

const RETRY_AFTER_MS = 61_000;
const TAKEOVER_TIMEOUT_MS = 40_000;
const LOGIN_DELAY_MS = 3_000;

const flow = useFlow({ hosts: 0, entry: "test/flow/support/sabotage-worker.ts" });
const contacts = [1, 2, 3, 4, 5, 6].map((n) => `628131000500${n}`);
let tap: BridgeTap;
let host: StackProcess;
/** Its commit is durable when the host freezes; the answer lies in the host's socket. */
let answered: Customer;
/** Its commit has left the host and not reached the Worker. */
let unheard: Customer;

beforeAll(async () => {
  tap = await BridgeTap.start(flow.stack.url);
  host = await flow.stack.addHost({ GATEWAY_URL: tap.url });
  answered = await flow.customer("6281234540001");
  unheard = await flow.customer("6281234540002");
  return () => tap.close();
});

function deviceIdOf(customer: Customer): unknown {
  return flow.stored.books("SELECT id FROM devices WHERE waid = ?", customer.waid)[0]?.["id"];
}

interface Frozen {
  /** The text of each phone whose commit was caught. */
  answeredId: number;
  unheardId: number;
  /** Lets the second commit go on, too late. */
  release: () => void;
}

/** Freezes the host once it waits for the answers to both commits. */
function freezeBetween(): Promise<Frozen> {
  /** Texts that leave together share a commit, so each phone's first one is caught. */
  const seen = new Set<string>();
  const answer = Promise.withResolvers<number>();
  const question = Promise.withResolvers<number>();
  const late = Promise.withResolvers<"pass">();
  const [answeredDevice, unheardDevice] = [deviceIdOf(answered), deviceIdOf(unheard)];
  let caught: { seq: number; messageId: number } | null = null;
  const frozen = Promise.all([answer.promise, question.promise]).then(
    async ([answeredId, unheardId]) => {
      host.freeze();
      const stopped = async (): Promise<true | null> => (isStopped(host.pid) ? true : null);
      await flow.until("the host to stand still", stopped);
      return { answeredId, unheardId, release: () => late.resolve("pass") };
    },
  );
  tap.listen({
    fromHost: (frame, deviceId) => {
      const [message] = frame.t === "keys_commit" ? frame.forMessages : [];
      if (frame.t !== "keys_commit" || message === undefined) return "pass";
      if (seen.has(deviceId)) return "pass";
      seen.add(deviceId);
      const { messageId } = message;
      if (deviceId === answeredDevice) caught = { seq: frame.seq, messageId };
      if (deviceId !== unheardDevice) return "pass";
      question.resolve(messageId);
      return late.promise;
    },
    fromDevice: async (frame, deviceId): Promise<Verdict> => {
      const isAnswer = frame.t === "keys_committed" && frame.seq === caught?.seq;
      if (!isAnswer || caught === null || deviceId !== answeredDevice) return "pass";
      answer.resolve(caught.messageId);
      await frozen;
      return "pass";
    },
  });
  return frozen;
}

/** One text to each contact; answers the ids in the order of the contacts. */
async function sendAll(customer: Customer, text: string): Promise<number[]> {
  return Promise.all(contacts.map((contact) => flow.sendOne(customer, contact, text)));
}

async function untilAll(customer: Customer, ids: readonly number[]): Promise<void> {
  for (const id of ids) await flow.untilMessage(customer, id, "received");
}

/** That a phone has it may have been said to the host that was killed; that WhatsApp has it is never lost. */
async function untilAllProved(customer: Customer, ids: readonly number[]): Promise<void> {
  for (const id of ids) await flow.untilMessage(customer, id, "sent");
}

/** The host that the device takes key commits from. */
function granted(customer: Customer): unknown {
  const sql = "SELECT host_id FROM epochs JOIN device USING (epoch)";
  return flow.stored.device(customer.waid, sql)[0]?.["host_id"];
}

/** Texts whose keys were taken, and of which nobody has heard since. */
function committed(customer: Customer): number[] {
  const sql = "SELECT id FROM outbox WHERE state = 'maybe_sent'";
  return flow.stored.device(customer.waid, sql).map(({ id }) => Number(id));
}

test("a host frozen around key commits sends nothing when it wakes, and every text arrives once", async () => {
  const customers = [answered, unheard];
  for (const customer of customers) {
    await untilAll(customer, await sendAll(customer, "Pembuka percakapan"));
  }
  const freezing = freezeBetween();
  const [firstIds, secondIds] = await Promise.all([
    sendAll(answered, "Pesan pertama ketika mesin membeku"),
    sendAll(unheard, "Pesan kedua ketika mesin membeku"),
  ]);
  const { answeredId, unheardId, release } = await freezing;
  expect(firstIds).toContain(answeredId);
  expect(secondIds).toContain(unheardId);
  const first = granted(answered);

  // The frozen host keeps its connections to WhatsApp until the other one has logged in.
  await flow.whatsapp.post("/faults", { kind: "login_delay", ms: LOGIN_DELAY_MS, count: 2 });
  const before = await flow.whatsapp.evidence();
  await flow.stack.addHost();
  const moved = async (): Promise<true | null> =>
    customers.some((customer) => granted(customer) === first) ? null : true;
  await flow.until("the other host to be granted", moved, TAKEOVER_TIMEOUT_MS);
  // Texts share commits, and one may have been taken just before the freeze; the other host is not logged in yet.
  const committedIds = committed(answered);
  const otherCommittedIds = committed(unheard);
  expect(committedIds).toContain(answeredId);
  expect(otherCommittedIds).not.toContain(unheardId);
  host.resume();
  release();
  await flow.until("the frozen host to give up", async () =>
    host.output.split("device session over").length > customers.length ? true : null,
  );
  const woken = await flow.whatsapp.evidence();
  expect(woken.messagesById).toEqual(before.messagesById);
  expect(woken.ciphertexts).toBe(before.ciphertexts);
  const refused = "SELECT value FROM counters WHERE name = 'keys_refused'";
  expect(flow.stored.device(unheard.waid, refused)).toHaveLength(1);
  await host.kill();

  // What had no key commit was never sent, so it goes at once; what had one waits for its minute.
  const uncommitted = (ids: number[], without: number[]): number[] =>
    ids.filter((id) => !without.includes(id));
  await untilAllProved(unheard, uncommitted(secondIds, otherCommittedIds));
  await untilAllProved(answered, uncommitted(firstIds, committedIds));
  expect((await flow.message(answered, answeredId)).status).toBe("pending");
  await new Saboteurs(flow.stack).moveTime(RETRY_AFTER_MS);
  await untilAllProved(answered, committedIds);
  await untilAllProved(unheard, otherCommittedIds);
  for (const contact of contacts) {
    const texts = (
      await Promise.all(customers.map(({ phone }) => flow.whatsapp.shown(contact, phone)))
    ).flat();
    expect(texts).toMatchObject([
      { text: "Pembuka percakapan", copies: 1 },
      { text: "Pesan pertama ketika mesin membeku", copies: 1 },
      { text: "Pembuka percakapan", copies: 1 },
      { text: "Pesan kedua ketika mesin membeku", copies: 1 },
    ]);
  }
  const { messagesById } = await flow.whatsapp.evidence();
  expect(Object.values(messagesById).filter((stanzas) => stanzas !== 1)).toEqual([]);
});
