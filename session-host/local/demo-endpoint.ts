/**
 * The demo account's webhook: made once through /v1, kept with its secret over restarts, and pointed to wherever the
 * receiver listens this time. What waited while nothing ran is delivered then.
 */
import type { Demo } from "./demo.ts";
import { demand } from "./demo.ts";
import type { Product } from "./product.ts";
import type { Receiver } from "./receiver.ts";
import type { StateFolder, StoredState } from "./state-folder.ts";

export async function ensureEndpoint(
  product: Product,
  state: StateFolder,
  stored: StoredState,
  demo: Demo,
  receiver: Receiver,
): Promise<void> {
  if (stored.endpoint !== null && !demo.isNew) {
    const { id, secret } = stored.endpoint;
    receiver.secret = secret;
    const moved = await product.moveEndpoint(demo.apiKey, id, receiver.url);
    if (moved.ok) return;
    const isGone = moved.error.reason === "refused" && moved.error.status === 404;
    if (!isGone) demand(moved, "point the demo webhook to its receiver");
  }
  stored.endpoint = demand(
    await product.createEndpoint(demo.apiKey, receiver.url),
    "create the demo webhook",
  );
  state.save(stored);
  receiver.secret = stored.endpoint.secret;
}
