/**
 * The Worker under test with one more route, POST `/bench/feed`: it hands an endpoint's object as many events as wished,
 * by the same call as a device and from one that does not exist. Everything else is the real one.
 */
import { endpointClient } from "../../src/endpoint/client.ts";
import { EVENTS_PER_CALL_MAX } from "../../src/endpoint/interface.ts";
import worker from "../../src/index.ts";
import { feedWish } from "./feed-wish.ts";
import type { FeedWish } from "./feed-wish.ts";

export { Device, Endpoint, Fleet } from "../../src/index.ts";

const WAID = "BENCH2";

/** Each event is of a message of its own, so that none waits for another. */
function eventOf({ text }: FeedWish, sequence: number) {
  return {
    id: `evt_${WAID}_${sequence}`,
    type: "message.inbound" as const,
    atMs: Date.now(),
    orderKey: `chat:${WAID}:${sequence}`,
    data: {
      id: `in_${WAID}_${sequence}`,
      device: WAID,
      from: "6281310001001",
      lid: null,
      name: null,
      kind: "text",
      text,
      sent_at: new Date().toISOString(),
    },
  };
}

async function feed(wish: FeedWish, env: Cloudflare.Env): Promise<Response> {
  const { accountId, endpointId, after, count } = wish;
  const endpoints = endpointClient(env.ENDPOINTS);
  const source = { kind: "device" as const, deviceId: "b".repeat(32) };
  for (let from = after; from < after + count; from += EVENTS_PER_CALL_MAX) {
    const length = Math.min(EVENTS_PER_CALL_MAX, after + count - from);
    const events = Array.from({ length }, (_, at) => {
      const sequence = from + at + 1;
      return { sequence, event: eventOf(wish, sequence) };
    });
    const taken = await endpoints.deliver({ accountId, endpointId }, { source, events });
    if (!taken.ok) return Response.json(taken.error, { status: 409 });
  }
  return Response.json({ highest: after + count });
}

export default {
  fetch: async (request, env, context) => {
    const isFeed = new URL(request.url).pathname === "/bench/feed";
    if (!isFeed) return worker.fetch(request, env, context);
    return feed(feedWish.parse(await request.json()), env);
  },
  scheduled: worker.scheduled,
} satisfies ExportedHandler<Cloudflare.Env>;
