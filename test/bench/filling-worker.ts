/**
 * The Worker under test with one route more, `POST /bench/fill`: gives a device messages for later behind D1's back, so that
 * a long queue is there in seconds. It re-exports the real Worker and the real objects and changes nothing of them.
 */
import { z } from "zod";
import { deviceClient } from "../../src/device/client.ts";
import type { DeviceIdentity } from "../../src/device/interface.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { drawMessageIds, randomHex, systemRandomBytes } from "../../src/domain/id.ts";
import worker from "../../src/index.ts";

export * from "../../src/index.ts";

const A_CALL = 500;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const FIRST_DUE_MS = 60 * MINUTE_MS;
const LAST_DUE_MS = 25 * DAY_MS;

const wish = z.object({ waid: z.string(), count: z.number().int() });

async function fill(request: Request, env: Cloudflare.Env): Promise<Response> {
  const { waid, count } = wish.parse(await request.json());
  const identity = await env.DB.prepare(
    'SELECT id AS "deviceId", account_id AS "accountId", waid FROM devices WHERE waid = ?',
  )
    .bind(waid)
    .first<DeviceIdentity>();
  if (identity === null) return new Response("no such device", { status: 404 });
  const devices = deviceClient(env.DEVICES);
  for (let stored = 0; stored < count; stored += A_CALL) {
    const nowMs = systemClock();
    const size = Math.min(A_CALL, count - stored);
    const nonce = randomHex(systemRandomBytes, 16);
    const messages = drawMessageIds(nowMs, size, systemRandomBytes).map((id, index) => {
      const place = stored + index;
      const dueMs = nowMs + FIRST_DUE_MS + Math.floor((place / count) * LAST_DUE_MS);
      return {
        id,
        nonce,
        to: `6281${String(200_000_000 + place)}`,
        text: `Pengingat kontrol nomor ${place}, mohon datang tepat waktu. Terima kasih.`,
        category: "reminder" as const,
        priceRupiah: 200,
        periodId: 1,
        acceptedMs: nowMs,
        dueMs,
        expiresMs: dueMs + DAY_MS,
      };
    });
    const answer = await devices.enqueue(identity, messages);
    if (!answer.ok) return new Response(answer.error.reason, { status: 409 });
  }
  return Response.json({ stored: count });
}

export default {
  fetch(request, env, context) {
    return new URL(request.url).pathname === "/bench/fill"
      ? fill(request, env)
      : worker.fetch(request, env, context);
  },
  scheduled: worker.scheduled,
} satisfies ExportedHandler<Cloudflare.Env>;
