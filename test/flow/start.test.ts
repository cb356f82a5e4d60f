/**
 * `npm start` and `npm run send` from outside, as a newcomer meets them. The witness is the simulator's phone, asked
 * over its own HTTP API, and the process table; the printed lines are what is judged.
 */
import { statSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { z } from "zod";
import { callJson } from "../../session-host/local/http-call.ts";
import type { DevFile } from "../../session-host/local/state-folder.ts";
import { Product } from "../../session-host/local/product.ts";
import { freePort } from "./support/free-port.ts";
import { KabarFolder, livingOf } from "./support/npm-run.ts";
import { startStack } from "./support/stack.ts";

const UP_MS = 90_000;
const LIFE = ["accepted", "handed over", "sent", "received", "read"];
const WEBHOOKS = ["message.inbound", "message.read", "message.received", "message.sent"];
const STACK_TRACE = /\n\s+at .+:\d+:\d+/;

const texts = z.array(z.object({ text: z.string(), copies: z.number(), direction: z.string() }));
const phone = z.object({ linked: z.array(z.object({ device: z.number() })) });

/** What the contact's phone shows from the demo's phone. */
async function screenOf(
  dev: DevFile,
  contact: string,
): Promise<{ text: string; copies: number }[]> {
  const url = `${dev.simulatorUrl}/messages?number=${contact}&with=${dev.phone}`;
  const answer = await callJson({ method: "GET", url }, texts);
  if (!answer.ok) throw new Error("the simulator did not answer");
  return answer.value.filter(({ direction }) => direction === "in");
}

async function linkedDevices(dev: DevFile): Promise<number[]> {
  const answer = await callJson(
    { method: "GET", url: `${dev.simulatorUrl}/phones/${dev.phone}` },
    phone,
  );
  if (!answer.ok) throw new Error("the simulator did not answer");
  return answer.value.linked.map((one) => one.device);
}

/** The steps printed, in order, with their time stamps cut off. */
function stepsIn(output: string): string[] {
  return [...output.matchAll(/^ +\d+\.\d\d s {2}(\S+(?: \S+)?) {2,}/gm)].map(
    (match) => match[1] ?? "",
  );
}

/** What the receiver got of the demo text, each type once. */
function webhooksIn(output: string): string[] {
  const lines = output.matchAll(/ s {2}webhook +(message\.\w+) delivered to http:\S+ 200$/gm);
  return [...lines].map((match) => match[1] ?? "").toSorted();
}

function processesOf(dev: DevFile): (number | null)[] {
  return Object.values(dev.processes);
}

test("a first start shows a text from acceptance to read, and a second one goes on with the same phone", async () => {
  await using folder = new KabarFolder();
  const first = folder.start();
  await first.says("Ctrl-C stops it", UP_MS);
  const before = folder.dev();

  expect(stepsIn(first.output).filter((step) => LIFE.includes(step))).toEqual(LIFE);
  expect(stepsIn(first.output)).toContain("charged");
  expect(webhooksIn(first.output)).toEqual(WEBHOOKS);
  expect(first.output).toContain('Budi wrote: "');
  expect(before.receiverUrl).not.toBeNull();
  const [shown] = await screenOf(before, before.contacts[0] ?? "");
  expect(first.output).toContain(`"${shown?.text}"`);
  expect(shown?.copies).toBe(1);
  expect(statSync(folder.file("dev.json")).mode & 0o777).toBe(0o600);
  expect(statSync(folder.file("secrets.json")).mode & 0o777).toBe(0o600);

  const stoppedAtMs = performance.now();
  await first.ctrlC();
  expect(first.output.trim().endsWith("Stopped.")).toBe(true);
  expect(performance.now() - stoppedAtMs).toBeLessThan(15_000);
  expect(livingOf(processesOf(before))).toEqual([]);

  const second = folder.start();
  await second.says("Ctrl-C stops it", UP_MS);
  const after = folder.dev();
  expect([after.apiKey, after.waid, after.phone]).toEqual([
    before.apiKey,
    before.waid,
    before.phone,
  ]);
  expect(await linkedDevices(after)).toHaveLength(1);
  expect(second.output).toContain("is connected again");
  expect(stepsIn(second.output)).toContain("read");
  expect(webhooksIn(second.output)).toEqual(WEBHOOKS);
  expect(await screenOf(after, after.contacts[0] ?? "")).toHaveLength(2);
  await second.ctrlC();

  for (const output of [first.output, second.output]) {
    expect(output).not.toContain(before.operatorToken);
    expect(output).not.toContain("\u001B");
    expect(output).not.toMatch(STACK_TRACE);
  }
});

test("a session host that is killed is said and started again, and texts go on", async () => {
  await using folder = new KabarFolder();
  const start = folder.start({ KABAR_PACING: "off" });
  await start.says("Ctrl-C stops it", UP_MS);
  const before = folder.dev();

  process.kill(before.processes.host, "SIGKILL");
  await start.says("the session host was killed (SIGKILL); started again", UP_MS);
  expect(folder.dev().processes.host).not.toBe(before.processes.host);

  const [, contact = ""] = before.contacts;
  const sent = folder.send(contact, "This text goes out after the host was killed.");
  expect(await sent.exited).toEqual({ code: 0, signal: null });
  expect(stepsIn(sent.output)).toContain("read");
  expect((await screenOf(before, contact)).map((one) => one.text)).toEqual([
    "This text goes out after the host was killed.",
  ]);
});

test("without WhatsApp's acknowledgement nothing after handed over is printed", async () => {
  await using folder = new KabarFolder();
  const simulatorPort = await freePort();
  const start = folder.start({ SIMULATOR_PORT: String(simulatorPort), KABAR_PACING: "off" });
  await start.says("simulator ", UP_MS);
  const url = `http://127.0.0.1:${simulatorPort}`;
  await callJson({ method: "POST", url: `${url}/acks`, body: { mode: "hold" } }, z.unknown());
  await start.says("Ctrl-C stops it", UP_MS * 2);
  expect(stepsIn(start.output).filter((step) => LIFE.includes(step))).toEqual([
    "accepted",
    "handed over",
  ]);

  await callJson({ method: "POST", url: `${url}/acks/release`, body: {} }, z.unknown());
  await start.says("blue ticks", UP_MS);
  expect(stepsIn(start.output).filter((step) => LIFE.includes(step))).toEqual(LIFE);
});

test("a port in use ends with one sentence and a failure", async () => {
  await using folder = new KabarFolder();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const start = folder.start({ PORT: String(port) });
  const exit = await start.exited;
  server.close();
  expect(exit.code).not.toBe(0);
  expect(start.output.trim().split("\n").at(-1)).toMatch(new RegExp(`Port ${port} is in use`));
  expect(start.output).not.toMatch(STACK_TRACE);
});

test("a supervisor that is killed takes its parts with it", async () => {
  await using folder = new KabarFolder();
  const start = folder.start({ KABAR_PACING: "off" });
  await start.says("Ctrl-C stops it", UP_MS);
  const dev = folder.dev();
  process.kill(dev.processes.supervisor, "SIGKILL");
  await start.exited;
  await expect.poll(() => livingOf(processesOf(dev)), { timeout: 60_000 }).toEqual([]);
});

test("with another WhatsApp server no simulator starts, and the QR is read from the product", async () => {
  await using folder = new KabarFolder();
  await using whatsApp = await startStack({ hosts: 0 });
  const start = folder.start({ WHATSAPP_URL: whatsApp.whatsAppUrl, KABAR_PACING: "off" });
  await start.says("Ctrl-C stops it", UP_MS);
  const dev = folder.dev();
  expect([dev.simulatorUrl, dev.contacts, dev.processes.simulator]).toEqual([null, [], null]);

  const product = new Product(dev.url, dev.operatorToken);
  const qr = await whatsApp.until("a QR", async () => {
    const device = await product.device(dev.apiKey, dev.waid);
    return device.ok ? (device.value.pairing?.qr ?? null) : null;
  });
  expect(start.output).not.toContain(qr);
  expect(await whatsApp.phones?.scan("6281234567002", qr)).toBe(true);
  await start.says("is connected", UP_MS);
  expect(folder.dev().phone).toBe("6281234567002");
  expect(start.output).not.toContain("6281234567002");
  expect(stepsIn(start.output)).toEqual([]);
});
