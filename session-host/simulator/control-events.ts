/** Control calls that only look: events (as a stream or by long poll), evidence, messages on all screens. */

import { Hono, type Context } from "hono";
import { streamSSE } from "hono/streaming";
import { z } from "zod";
import { eventMatches, type EventKind, type SimulatorEvent } from "./events.ts";
import { normalizeNumber } from "./jid.ts";
import type { Network } from "./network.ts";

const WAIT_MS_MAX = 60_000;
const EVENTS_PER_ANSWER_MAX = 1_000;

const pollSchema = z.object({
  after: z.coerce.number().int().min(0).default(0),
  waitMs: z.coerce.number().int().min(0).max(WAIT_MS_MAX).default(0),
  kind: z.string().optional(),
  number: z.string().optional(),
  id: z.string().optional(),
});

export function eventRoutes(network: Network): Hono {
  const app = new Hono();
  app.get("/evidence", (context) => context.json(network.evidence.report()));
  app.get("/messages", (context) => messages(network, context));
  app.get("/events/poll", async (context) => poll(network, context));
  app.get("/events", (context) => stream(network, context));
  return app;
}

/** `{last, events}`; waits up to waitMs while nothing fits. */
async function poll(network: Network, context: Context): Promise<Response> {
  const parsed = pollSchema.safeParse(context.req.query());
  if (!parsed.success) return context.json({ error: "query_is_wrong" }, 400);
  const { after, waitMs, kind, number, id } = parsed.data;
  const filter = {
    kind: kind as EventKind | undefined,
    number: number === undefined ? undefined : (normalizeNumber(number) ?? ""),
    id,
  };
  const matches = (event: SimulatorEvent): boolean => eventMatches(event, filter);
  await network.events.waitFor((event) => event.seq > after && matches(event), waitMs, after);
  const events = network.events.after(after, matches).slice(0, EVENTS_PER_ANSWER_MAX);
  return context.json({ last: events.at(-1)?.seq ?? Math.max(after, network.events.last), events });
}

/** Every event as it happens; `?after=` or Last-Event-ID resumes. */
function stream(network: Network, context: Context): Response {
  const resume = Number(
    context.req.header("last-event-id") ?? context.req.query("after") ?? network.events.last,
  );
  return streamSSE(context, async (out) => {
    // Without a byte the reader does not know that it is being listened for.
    await out.write(": here\n\n");
    let sent = Number.isInteger(resume) && resume >= 0 ? resume : network.events.last;
    while (!out.aborted && !out.closed) {
      for (const event of network.events.after(sent)) {
        await out.writeSSE({
          id: String(event.seq),
          event: "simulator",
          data: JSON.stringify(event),
        });
        sent = event.seq;
      }
      await network.events.waitFor((event) => event.seq > sent, 15_000, sent);
      if (network.events.last === sent) await out.write(": still here\n\n");
    }
  });
}

/** All texts on all screens, filtered: `?number=` (owner of the screen), `?with=`, `?id=`. */
function messages(network: Network, context: Context): Response {
  const { number, id } = context.req.query();
  const partner = context.req.query("with");
  const wanted = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : (normalizeNumber(text) ?? "");
  const owner = wanted(number);
  const other = wanted(partner);
  const found = network.directory
    .all()
    .filter((phone) => owner === undefined || phone.number === owner)
    .flatMap((phone) => phone.screen.chats().map((chat) => ({ phone, chat })))
    .filter(({ chat }) => other === undefined || chat.with === other)
    .flatMap(({ phone, chat }) =>
      chat.messages.map((message) => ({
        number: phone.number,
        with: chat.with,
        ...message,
        duplicate: message.copies > 1,
      })),
    )
    .filter((message) => id === undefined || message.id === id);
  return context.json(found);
}
