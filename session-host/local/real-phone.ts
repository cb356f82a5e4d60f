/**
 * A start without the simulator: WhatsApp itself (`--real`), or another server (WHATSAPP_URL). Says what may happen
 * to the number, shows the QR on a terminal when it is WhatsApp itself, and sends nothing by itself.
 */
import { renderUnicodeCompact } from "uqr";
import { printExamples, printPlaces } from "./closing-lines.ts";
import type { Demo } from "./demo.ts";
import type { LocalStart } from "./local-start.ts";
import { keepPairing } from "./pairing.ts";

const NO_QR_NOTICE_MS = 20_000;

/** Printed before anything is started. */
export function warnAboutBans(start: LocalStart): void {
  start.terminal.notice(
    "This links your own WhatsApp to an unofficial client. WhatsApp may ban the number for it.",
  );
  start.terminal.notice("Use a number you can lose, and write only to people who agreed to it.");
}

export async function waitForPhone(
  start: LocalStart,
  demo: Demo,
  signal: AbortSignal,
): Promise<void> {
  const { terminal, options, places } = start;
  printPlaces(terminal, places);
  terminal.fact("phone", "not connected yet; its QR, while there is one, is in the answer of");
  const url = `${start.url}/v1/devices/${demo.waid}`;
  terminal.line(`                curl -s ${url} -H 'authorization: Bearer ${demo.apiKey}'`);
  const showsQr = options.whatsApp.kind === "real" && terminal.isInteractive;
  const noQr = setTimeout(
    () => terminal.notice("WhatsApp has given no QR yet; can this machine reach it?"),
    NO_QR_NOTICE_MS,
  );
  await keepPairing(
    start.product,
    demo,
    signal,
    (qr) => {
      clearTimeout(noQr);
      if (!showsQr) return;
      terminal.title("Scan with the phone: WhatsApp, Settings, Linked devices, Link a device");
      terminal.line(renderUnicodeCompact(qr));
    },
    (phone) => {
      start.setPhone(phone);
      terminal.fact("phone", `${maskedNumber(phone)} is connected`);
      printExamples(terminal, places, demo, "<number>");
    },
  );
  clearTimeout(noQr);
}

/** A person's own number is not printed in full. */
function maskedNumber(number: string): string {
  return `${number.slice(0, 4)}…${number.slice(-3)}`;
}
