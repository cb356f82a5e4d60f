/**
 * `npm start`: runs Kabar on this machine and stays until it is stopped. Turns every end into an exit code: 0 when
 * asked to stop, 1 with one sentence when something cannot run. Never prints a stack trace.
 */
import { systemClock } from "../../src/domain/clock.ts";
import { printExamples, printPlaces } from "./closing-lines.ts";
import { sendDemoText } from "./demo-text.ts";
import { LocalStart } from "./local-start.ts";
import { readStartOptions } from "./options.ts";
import type { StartOptions } from "./options.ts";
import { connectSimulatedPhone } from "./pairing.ts";
import { waitForPhone, warnAboutBans } from "./real-phone.ts";
import { CONTACTS, DEMO_PHONE } from "./simulated-phone.ts";
import { StartFailure } from "./start-failure.ts";
import { stopRequested } from "./stop-request.ts";
import { Terminal } from "./terminal.ts";

const terminal = new Terminal(process.stdout, process.env);

async function runDemo(start: LocalStart, signal: AbortSignal): Promise<void> {
  const demo = await start.run();
  const { phones } = start;
  if (phones === null) {
    await waitForPhone(start, demo, signal);
    return;
  }
  const { phone, scanned } = await connectSimulatedPhone(
    start.product,
    phones,
    demo,
    DEMO_PHONE.number,
    systemClock,
  );
  start.setPhone(phone);
  const how = scanned ? "has scanned the QR and is connected" : "is connected again";
  terminal.fact("phone", `${phone} ${how}`);
  await sendDemoText(start, demo, phone, signal);
  printPlaces(terminal, start.places);
  printExamples(terminal, start.places, demo, CONTACTS[1].number);
}

async function runUntilStopped(options: StartOptions): Promise<void> {
  const stop = stopRequested();
  terminal.title("Kabar, a WhatsApp text gateway, on this machine");
  const start = await LocalStart.prepare(options, terminal);
  if (options.whatsApp.kind === "real") warnAboutBans(start);
  try {
    const demo = runDemo(start, stop.signal).then(() => stop.requested);
    await Promise.race([demo, stop.requested, start.givenUp]);
  } finally {
    stop.whenInsisted(() => process.exit(1));
    await start.stop();
  }
  terminal.line("Stopped.");
}

function sentenceOf(error: unknown): string {
  if (error instanceof StartFailure) return error.message;
  const name = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `Something went wrong that should not: ${name.split("\n")[0] ?? ""}`;
}

function fail(sentence: string): void {
  new Terminal(process.stderr, process.env).failure(`Kabar stopped: ${sentence}`);
  process.exit(1);
}

const options = readStartOptions(process.env, process.argv.slice(2), process.cwd());
if (options.ok) {
  runUntilStopped(options.value).then(
    () => process.exit(0),
    (error: unknown) => fail(sentenceOf(error)),
  );
} else {
  fail(options.error);
}
