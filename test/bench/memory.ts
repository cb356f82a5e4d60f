/**
 * What an idle device costs a host in memory: paired devices on the simulator, a host that has just taken them all
 * and logged them in, left alone for a while, its resident memory as the system sees it.
 */
import { execFileSync } from "node:child_process";
import { demand } from "../../session-host/local/demo.ts";
import { startStack } from "../flow/support/stack.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import { HOST_ENV, richCustomer } from "./customers.ts";
import type { Options } from "./options.ts";
import { round } from "./report.ts";
import type { Section } from "./report.ts";

const MIB_PER_DEVICE_MAX = 1.5;
const PAIRINGS_AT_ONCE = 6;
const REST_MS = 15_000;
const PHONE_BASE = 6_281_234_560_000;
/** One account's key asks for the state of all devices, ten times a second. */
const ASKED_OFTEN = { KEY_REQUESTS_PER_MINUTE: "1000000" };

interface Measured {
  devices: number;
  residentMib: number;
}

export async function benchMemory({ idleDevices }: Options): Promise<Section> {
  await using stack = await startStack({ hostEnv: HOST_ENV, vars: ASKED_OFTEN });
  const owner = await richCustomer(stack, String(PHONE_BASE + 1));
  const devices = [owner];
  const measured: Measured[] = [];
  for (const count of idleDevices) {
    await pairUpTo(stack, owner, devices, count);
    await restartHost(stack, devices);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    measured.push({ devices: count, residentMib: residentMib(stack.hosts[0]?.pid ?? 0) });
  }
  return section(measured);
}

async function pairUpTo(
  stack: Stack,
  owner: Customer,
  devices: Customer[],
  count: number,
): Promise<void> {
  const pairer = async (): Promise<void> => {
    while (devices.length < count) {
      const device = { ...owner, waid: "", phone: String(PHONE_BASE + 1 + devices.length) };
      devices.push(device);
      const made = await stack.product.createDevice(owner.accountId, device.phone, "C");
      device.waid = demand(made, "create a device").waid;
      await stack.pair(device);
    }
  };
  await Promise.all(Array.from({ length: PAIRINGS_AT_ONCE }, pairer));
}

/** Pairing leaves garbage; a host usually gets its devices by logging them in. */
async function restartHost(stack: Stack, devices: readonly Customer[]): Promise<void> {
  const { phones } = stack;
  await stack.hosts[0]?.terminate();
  stack.hosts[0]?.launchAgain();
  for (const { apiKey, waid, phone } of devices) {
    await stack.until("a device to be connected", async () => {
      const device = await stack.product.device(apiKey, waid);
      if (!device.ok || device.value.status !== "connected") return null;
      return (await phones?.hasClientOnline(phone)) === true ? true : null;
    });
  }
}

function residentMib(pid: number): number {
  const kibibytes = execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
  return Number(kibibytes) / 1024;
}

function section(measured: readonly Measured[]): Section {
  const first = measured[0];
  const last = measured.at(-1);
  if (first === undefined || last === undefined) throw new Error("nothing was measured");
  const per = (to: Measured): number =>
    (to.residentMib - first.residentMib) / (to.devices - first.devices);
  return {
    title: "Memory of a host",
    notes: [
      `Resident memory of the host's process ${REST_MS / 1_000} s after it had logged all devices in; each is paired and idle.`,
    ],
    columns: ["idle devices", "MiB", "MiB per further device"],
    rows: measured.map((one) => [
      String(one.devices),
      round(one.residentMib),
      one === first ? "" : round(per(one)),
    ]),
    goals: [{ what: "MiB per idle device", value: per(last), atMost: MIB_PER_DEVICE_MAX }],
  };
}
