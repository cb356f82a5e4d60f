/**
 * Brings the demo device to "connected": on the simulator by letting its phone scan the QR, elsewhere by keeping a
 * QR ready for a person. Whether it is connected is read from the product, and on the simulator from WhatsApp's
 * side as well. Never writes a QR anywhere itself.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Clock } from "../../src/domain/clock.ts";
import type { DeviceAnswer, Product } from "./product.ts";
import type { SimulatedPhones } from "./simulated-phone.ts";
import { StartFailure } from "./start-failure.ts";
import { waitUntil } from "./wait-until.ts";

const CONNECT_TIMEOUT_MS = 60_000;
const QR_LOOK_INTERVAL_MS = 1_000;

export interface DemoDevice {
  apiKey: string;
  waid: string;
}

export interface Connected {
  phone: string;
  /** True when it was linked now, false when it had been before. */
  scanned: boolean;
}

/** Lets the simulator's phone of this number scan, as often as needed. */
export async function connectSimulatedPhone(
  product: Product,
  phones: SimulatedPhones,
  demo: DemoDevice,
  number: string,
  clock: Clock,
): Promise<Connected> {
  let scanned = false;
  const lateSentence = `The phone was not connected within ${CONNECT_TIMEOUT_MS / 1000} s; see the logs in the state folder.`;
  return waitUntil(clock, CONNECT_TIMEOUT_MS, lateSentence, async () => {
    const device = await deviceReadyToScan(product, demo);
    if (device === null) return null;
    if (device.status === "banned" || device.status === "paused") {
      throw new StartFailure(`The demo device is ${device.status}.`);
    }
    const qr = device.pairing?.qr ?? null;
    if (qr !== null) scanned = (await phones.scan(number, qr)) || scanned;
    if (device.status !== "connected" || device.phone === null) return null;
    return (await phones.hasClientOnline(device.phone)) ? { phone: device.phone, scanned } : null;
  });
}

/** Calls `onQr` with each new QR and `onConnected` once; runs until the signal says stop. */
export async function keepPairing(
  product: Product,
  demo: DemoDevice,
  signal: AbortSignal,
  onQr: (qr: string) => void,
  onConnected: (phone: string) => void,
): Promise<void> {
  let shownQr: string | null = null;
  while (!signal.aborted) {
    const device = await deviceReadyToScan(product, demo);
    const qr = device?.pairing?.qr ?? null;
    if (qr !== null && qr !== shownQr) onQr(qr);
    shownQr = qr;
    if (device?.status === "connected" && device.phone !== null) {
      onConnected(device.phone);
      return;
    }
    await pause(QR_LOOK_INTERVAL_MS);
  }
}

/** The device as it stands; starts a pairing when it has none and needs one. Null: no answer yet. */
async function deviceReadyToScan(product: Product, demo: DemoDevice): Promise<DeviceAnswer | null> {
  const device = await product.device(demo.apiKey, demo.waid);
  if (!device.ok) return null;
  const needsPairing = device.value.status === "unpaired" || device.value.status === "logged_out";
  if (!needsPairing) return device.value;
  const started = await product.pair(demo.apiKey, demo.waid);
  return started.ok ? started.value : null;
}
