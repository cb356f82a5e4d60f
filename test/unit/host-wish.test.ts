/** When a device asks the Fleet for a host, and that no call under way swallows a newer wish. */
import { expect, it } from "vitest";
import { HostWish, type WishingDevice } from "../../src/device/host-wish.ts";

const NOW_MS = 1_000_000;
const clock = () => NOW_MS;

/** A device that nobody wants a host for, and whose host is to be released. */
function parkedDevice() {
  const state = {
    deviceId: "d1",
    status: "unpaired",
    releaseDue: 1,
    unlinkingSinceMs: null,
    pausedReason: null,
  } as unknown as WishingDevice["state"];
  return {
    state,
    patch(changes: Partial<WishingDevice["state"]>) {
      Object.assign(state, changes);
    },
    become(status: WishingDevice["state"]["status"]) {
      Object.assign(state, { status });
    },
  };
}

it("a wish that comes while the last host is being released is asked for next", async () => {
  const device = parkedDevice();
  const asked: string[] = [];
  const { promise: released, resolve } = Promise.withResolvers<void>();
  const fleet = {
    want: async () => void asked.push("want"),
    release: async () => {
      asked.push("release");
      await released;
    },
  };
  const wish = new HostWish(device, fleet, (count) => new Uint8Array(count));
  wish.askNow(NOW_MS);
  const releasing = wish.run(clock);
  device.become("pairing");
  device.patch({ releaseDue: 0 });
  wish.askNow(NOW_MS);
  resolve();
  await releasing;
  expect(wish.isDue(NOW_MS)).toBe(true);
  await wish.run(clock);
  expect(asked).toEqual(["release", "want"]);
});

it("a host that was released and is not wanted is asked about no more", async () => {
  const device = parkedDevice();
  const fleet = { want: async () => undefined, release: async () => undefined };
  const wish = new HostWish(device, fleet, (count) => new Uint8Array(count));
  wish.askNow(NOW_MS);
  await wish.run(clock);
  expect(device.state.releaseDue).toBe(0);
  expect(wish.nextMs(NOW_MS)).toBeNull();
});
