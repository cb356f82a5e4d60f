/**
 * What the demo needs in the product, made through the operator API: an approved host, an account with money and a
 * package, a key, a device. Each step is stored as soon as it is done, so that a second start goes on where the
 * first one ended; what the product no longer knows is made anew.
 */
import type { Result } from "../../src/domain/result.ts";
import { describeCallFailure } from "./http-call.ts";
import type { CallFailure } from "./http-call.ts";
import type { Product } from "./product.ts";
import { StartFailure } from "./start-failure.ts";
import type { StateFolder, StoredState } from "./state-folder.ts";

export const DEMO_MONEY_RUPIAH = 1_000_000;
const DEMO_PLAN = "A";
const HOST_DEVICES_MAX = 200;

export interface Demo {
  accountId: number;
  apiKey: string;
  waid: string;
  /** False when everything was there from an earlier start. */
  isNew: boolean;
}

/** The token of this machine's session host; approves it when the product does not know it. */
export async function ensureHost(
  product: Product,
  state: StateFolder,
  stored: StoredState,
): Promise<string> {
  const known = demand(await product.hosts(), "list the session hosts").hosts;
  if (stored.host !== null && known.some((host) => host.id === stored.host?.id))
    return stored.host.token;
  stored.host = demand(
    await product.approveHost("local", HOST_DEVICES_MAX),
    "approve the session host",
  );
  state.save(stored);
  return stored.host.token;
}

export async function ensureDemo(
  product: Product,
  state: StateFolder,
  stored: StoredState,
): Promise<Demo> {
  const known = await storedDemo(product, stored);
  if (known !== null) return known;
  if (stored.demo === null || !(await product.balances(stored.demo.accountId)).ok) {
    const { id } = demand(await product.createAccount("Demo"), "create the demo account");
    stored.demo = { accountId: id, apiKey: null, waid: null };
    state.save(stored);
  }
  const { accountId } = stored.demo;
  const reference = `demo-${accountId}`;
  demand(await product.topUp(accountId, DEMO_MONEY_RUPIAH, reference), "top up the demo account");
  const key = demand(await product.createKey(accountId, "demo"), "create the demo key");
  const device = demand(
    await product.createDevice(accountId, "Demo phone", DEMO_PLAN),
    "create the demo device",
  );
  stored.demo = { accountId, apiKey: key.api_key, waid: device.waid };
  state.save(stored);
  return { accountId, apiKey: key.api_key, waid: device.waid, isNew: true };
}

/** Null when there is none, or the product does not know it any more. */
async function storedDemo(product: Product, stored: StoredState): Promise<Demo | null> {
  const { demo } = stored;
  if (demo === null || demo.apiKey === null || demo.waid === null) return null;
  const device = await product.device(demo.apiKey, demo.waid);
  if (!device.ok && device.error.reason === "refused" && device.error.status < 500) return null;
  demand(device, "read the demo device");
  return { accountId: demo.accountId, apiKey: demo.apiKey, waid: demo.waid, isNew: false };
}

/** The value, or the end of the start with a sentence. */
export function demand<T>(answer: Result<T, CallFailure>, what: string): T {
  if (answer.ok) return answer.value;
  throw new StartFailure(
    `Could not ${what}: ${describeCallFailure(answer.error)} from the Worker.`,
  );
}
