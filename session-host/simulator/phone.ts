/**
 * One number on the network: its simulated phone (device 0) and simulated companions, the real clients linked to it,
 * its screen. The same type serves a contact and the customer's own phone; keys are made when first needed.
 */

import { formatJid, type JidServer } from "./jid.ts";
import { LinkedDevice, type StoredLinkedDevice } from "./linked-device.ts";
import { Screen, type Chat } from "./screen.ts";
import { SignalDevice, type StoredSignalDevice } from "./signal-device.ts";
import type { BehaviourPatch } from "./behaviour.ts";

/** The account may not start new chats. `untilMs` null: the server does not say for how long. */
export type Restriction = { untilMs: number | null };

export type StoredPhone = {
  number: string;
  lid: string;
  name: string;
  registered: boolean | null;
  simulatedDevices: number;
  behaviour: BehaviourPatch;
  nextDevice: number;
  nextKeyIndex: number;
  keys: Record<string, StoredSignalDevice>;
  linked: StoredLinkedDevice[];
  chats: Chat[];
};

type RandomBytes = (length: number) => Buffer;

/** Device 99 means something else to the client. */
const DEVICE_MAX = 98;
/** Above those of simulated companions, which are their device numbers. */
const FIRST_KEY_INDEX = 10;

export class Phone {
  readonly number: string;
  readonly lid: string;
  name: string;
  /** Null follows the network's rule. */
  registered: boolean | null = null;
  behaviour: BehaviourPatch = {};
  screen = new Screen();
  /** How many of the next messages this phone sends are damaged on purpose. */
  damagedToSend = 0;
  /** Not kept over a restart of the simulator, as faults are not. */
  restriction: Restriction | null = null;
  readonly linked = new Map<number, LinkedDevice>();
  readonly #randomBytes: RandomBytes;
  readonly #keys = new Map<number, SignalDevice>();
  #simulatedDevices = 1;
  #nextDevice = 0;
  #nextKeyIndex = FIRST_KEY_INDEX;

  constructor(number: string, lid: string, randomBytes: RandomBytes) {
    this.number = number;
    this.lid = lid;
    this.name = `Phone ${number.slice(-4)}`;
    this.#randomBytes = randomBytes;
  }

  jid(server: JidServer, device = 0): string {
    return formatJid(server === "lid" ? this.lid : this.number, server, device);
  }

  /** Device 0 is the phone; 1, 2 … are simulated companions. */
  get simulatedDevices(): number {
    return this.#simulatedDevices;
  }

  /** Refused (false) once clients are linked, because their device numbers could clash. */
  setSimulatedDevices(count: number): boolean {
    if (this.linked.size > 0) return false;
    this.#simulatedDevices = count;
    return true;
  }

  simulated(device: number): SignalDevice | undefined {
    if (device < 0 || device >= this.#simulatedDevices) return undefined;
    const known = this.#keys.get(device);
    if (known !== undefined) return known;
    const made = new SignalDevice(`${this.lid}-${device}`, this.#randomBytes);
    this.#keys.set(device, made);
    return made;
  }

  get primary(): SignalDevice {
    const device = this.simulated(0);
    if (device === undefined) throw new Error("a phone always has device 0");
    return device;
  }

  deviceIds(): number[] {
    return [...Array(this.#simulatedDevices).keys(), ...this.linked.keys()];
  }

  keyIndex(device: number): number {
    return this.linked.get(device)?.keyIndex ?? device;
  }

  /** A number and key index for the next client; never one that is in use. */
  nextLink(): { device: number; keyIndex: number } {
    do {
      this.#nextDevice =
        this.#nextDevice >= DEVICE_MAX ? this.#simulatedDevices : this.#nextDevice + 1;
    } while (
      this.linked.has(this.#nextDevice) ||
      this.#nextDevice < this.#simulatedDevices ||
      this.#nextDevice === 0
    );
    this.#nextKeyIndex += 1;
    return { device: this.#nextDevice, keyIndex: this.#nextKeyIndex };
  }

  stored(): StoredPhone {
    return {
      number: this.number,
      lid: this.lid,
      name: this.name,
      registered: this.registered,
      simulatedDevices: this.#simulatedDevices,
      behaviour: this.behaviour,
      nextDevice: this.#nextDevice,
      nextKeyIndex: this.#nextKeyIndex,
      keys: Object.fromEntries([...this.#keys].map(([device, keys]) => [device, keys.stored()])),
      linked: [...this.linked.values()].map((device) => device.stored()),
      chats: this.screen.chats(),
    };
  }

  static revive(stored: StoredPhone, randomBytes: RandomBytes): Phone {
    const phone = new Phone(stored.number, stored.lid, randomBytes);
    phone.name = stored.name;
    phone.registered = stored.registered;
    phone.behaviour = stored.behaviour;
    phone.screen = Screen.revive(stored.chats);
    phone.#simulatedDevices = stored.simulatedDevices;
    phone.#nextDevice = stored.nextDevice;
    phone.#nextKeyIndex = stored.nextKeyIndex;
    for (const [device, keys] of Object.entries(stored.keys)) {
      phone.#keys.set(
        Number(device),
        new SignalDevice(`${stored.lid}-${device}`, randomBytes, keys),
      );
    }
    for (const device of stored.linked)
      phone.linked.set(device.device, LinkedDevice.revive(device));
    return phone;
  }
}
