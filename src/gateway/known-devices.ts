/**
 * Where devices are to be found when D1 is silent. An address book, not a permission: waid, object and account of
 * a device never change, and whoever uses an entry may only make the device do less. Bounded; lost with the isolate.
 */
import type { DeviceIdentity } from "../device/interface.ts";

const ENTRIES_MAX = 10_000;

export class KnownDevices {
  readonly #byWaid = new Map<string, DeviceIdentity>();

  remember(identity: DeviceIdentity): void {
    if (this.#byWaid.has(identity.waid)) return;
    if (this.#byWaid.size >= ENTRIES_MAX) {
      const [oldest] = this.#byWaid.keys();
      if (oldest !== undefined) this.#byWaid.delete(oldest);
    }
    this.#byWaid.set(identity.waid, identity);
  }

  find(waid: string): DeviceIdentity | null {
    return this.#byWaid.get(waid) ?? null;
  }
}
