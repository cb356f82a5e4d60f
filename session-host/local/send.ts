/**
 * `npm run send -- <number> "<text>"`: sends one text through the local start that is running, by the old endpoint,
 * and prints what becomes of it until it is read, refused, or nothing is new for a while.
 */
import { resolve } from "node:path";
import { systemClock } from "../../src/domain/clock.ts";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { followMessage } from "./life.ts";
import { Product } from "./product.ts";
import { sendText } from "./send-text.ts";
import { SimulatedPhones } from "./simulated-phone.ts";
import { StartFailure } from "./start-failure.ts";
import { StateFolder } from "./state-folder.ts";
import { Terminal } from "./terminal.ts";

const FOLLOW_MS = 60_000;

const terminal = new Terminal(process.stdout, process.env);

async function run(args: readonly string[]): Promise<void> {
  const [number, ...words] = args;
  const text = words.join(" ");
  if (number === undefined || text === "") {
    throw new StartFailure(
      'Say to whom and what: npm run send -- 6281310001001 "Your order is on its way."',
    );
  }
  const folder = resolve(process.env["KABAR_DATA"] || ".kabar");
  const dev = new StateFolder(folder, systemRandomBytes).devFile();
  if (dev === null) throw new StartFailure(`Nothing runs from ${folder}; type npm start first.`);
  const product = new Product(dev.url, dev.operatorToken);
  const phones = dev.simulatorUrl === null ? null : new SimulatedPhones(dev.simulatorUrl);
  const sentAtMs = systemClock();
  const sent = await sendText(product, dev, number, text);
  if (!sent.ok) throw new StartFailure(`Not sent: ${sent.error}`);
  const to = digitsOf(number);
  const message = { ...dev, id: sent.value, to, text, from: dev.phone, sentAtMs };
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), FOLLOW_MS);
  await followMessage(product, phones, message, systemClock, over.signal, (...step) =>
    terminal.step(...step),
  );
  clearTimeout(timer);
  if (over.signal.aborted) {
    terminal.line(
      `Nothing more within ${FOLLOW_MS / 1000} s; ${dev.url}/v1/messages/${sent.value} has the rest.`,
    );
  }
}

/** The simulator's spelling of a number; only for looking at its screen. */
function digitsOf(number: string): string {
  return number.replaceAll(/\D/g, "").replace(/^0+/, "62");
}

try {
  await run(process.argv.slice(2));
} catch (error) {
  const sentence =
    error instanceof StartFailure ? error.message : `Something went wrong: ${String(error)}`;
  new Terminal(process.stderr, process.env).failure(sentence);
  process.exitCode = 1;
}
