/**
 * Where devices are to be found when D1 is silent. An address book, not a permission: waid, object and account of
 * a device never change, and whoever uses an entry may only make the device do less. Bounded; lost with the isolate.
 */
import type { DeviceIdentity } from "../device/interface.ts";
import { BoundedMap } from "../domain/bounded-map.ts";

const ENTRIES_MAX = 10_000;

export class KnownDevices {
  readonly #byWaid = new BoundedMap<string, DeviceIdentity>(ENTRIES_MAX);

  remember(identity: DeviceIdentity): void {
    this.#byWaid.set(identity.waid, identity);
  }

  find(waid: string): DeviceIdentity | null {
    return this.#byWaid.get(waid) ?? null;
  }
}
