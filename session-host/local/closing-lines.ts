/** The last lines of a start: where everything is, and what to type next. Prints no secret but the demo's own key. */
import type { DemoDevice } from "./pairing.ts";
import { OLD_SEND_PATH } from "./product.ts";
import type { Terminal } from "./terminal.ts";

export interface Places {
  url: string;
  simulatorUrl: string | null;
  statePath: string;
}

export function printPlaces(terminal: Terminal, places: Places): void {
  terminal.title("Running; Ctrl-C stops it");
  terminal.fact("API", places.url);
  if (places.simulatorUrl !== null) terminal.fact("phones", `${places.simulatorUrl}/`);
  terminal.fact("state, logs", places.statePath);
}

export function printExamples(
  terminal: Terminal,
  places: Places,
  demo: DemoDevice,
  number: string,
): void {
  const packet = { number, message: "Your order is on its way.", sendingdatetime: "" };
  const body = JSON.stringify({ apikey: demo.apiKey, waid: demo.waid, datapacket: [packet] });
  terminal.line();
  terminal.line(`  npm run send -- ${number} "${packet.message}"`);
  terminal.line();
  terminal.line(`  curl -s ${places.url}${OLD_SEND_PATH} -d '${body}'`);
  terminal.line();
}
