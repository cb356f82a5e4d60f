/**
 * Clients that hang up in the middle of a send, many at once and of several accounts, so that some of them share a batch or
 * should have led one: whoever sends beside them is answered, and what they had asked for is whole or never was.
 */
import { connect } from "node:net";
import { beforeAll, expect, test } from "vitest";
import { OLD_SEND_PATH } from "../../session-host/local/product.ts";
import { useFlow } from "./support/flow.ts";
import type { Customer } from "./support/stack.ts";

const PHONES = Array.from({ length: 6 }, (_, n) => `628123454000${n + 1}`);
const ROUNDS = 8;
const SOCKETS = 32;
/** A send takes about as long. */
const HANG_UP_MAX_MS = 34;

const flow = useFlow();
const customers: Customer[] = [];

beforeAll(async () => {
  for (const phone of PHONES) customers.push(await flow.customer(phone));
});

/** Sends, and resets the connection after so long, answered or not. Ends when it is closed. */
function sendAndHangUp(customer: Customer, number: string, message: string, afterMs: number) {
  const { hostname, port } = new URL(flow.stack.url);
  const { apiKey: apikey, waid } = customer;
  const body = JSON.stringify({ apikey, waid, datapacket: [{ number, message }] });
  const socket = connect(Number(port), hostname);
  return new Promise<void>((resolve) => {
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve());
    socket.on("connect", () => {
      socket.write(
        `POST ${OLD_SEND_PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      setTimeout(() => socket.resetAndDestroy(), afterMs);
    });
  });
}

test("whoever sends beside clients that hang up is answered, and no text is doubled or half paid", async () => {
  const contactOf = (at: number): string => `62813100${61_000 + at}`;
  let seed = 1;
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const hungUp = Array.from({ length: SOCKETS }, (_, socket) => {
      const at = socket % customers.length;
      const customer = customers[at];
      if (customer === undefined) throw new Error("no customer");
      const text = `Putus di tengah jalan, putaran ${round} soket ${socket}`;
      flow.keepSecret(text, contactOf(at));
      return sendAndHangUp(customer, contactOf(at), text, 1 + random() * HANG_UP_MAX_MS);
    });
    const stays = customers.map((customer, at) =>
      flow.sendOne(customer, contactOf(at), `Tetap menunggu, putaran ${round}`),
    );
    await Promise.all(hungUp);
    await Promise.all(stays);
  }
  await flow.until("every message to end", async () =>
    flow.stored.books("SELECT id FROM messages WHERE status = 'pending'").length === 0
      ? true
      : null,
  );
  for (const [at, { accountId, phone }] of customers.entries()) {
    const taken = flow.stored.books("SELECT id FROM messages WHERE account_id = ?", accountId);
    // WhatsApp has it a moment before it is on the contact's screen.
    const shown = await flow.until(`${taken.length} texts on the screen`, async () => {
      const texts = await flow.whatsapp.shown(contactOf(at), phone);
      return texts.length >= taken.length ? texts : null;
    });
    expect(shown.map(({ copies }) => copies)).toEqual(taken.map(() => 1));
    expect(new Set(shown.map(({ text }) => text)).size).toBe(taken.length);
    expect(taken.length).toBeGreaterThan(ROUNDS);
    expect(flow.stored.available(accountId)).toBe(1_000_000 - 200 * taken.length);
  }
});
