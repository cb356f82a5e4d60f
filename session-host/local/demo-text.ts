/**
 * The text that each start on the simulator sends by the old endpoint, and its life as it is printed. When nothing
 * new is heard for a while it lets the start go on; later steps are still told.
 */
import { z } from "zod";
import { systemClock } from "../../src/domain/clock.ts";
import { deliveryLine } from "./delivery-line.ts";
import type { Demo } from "./demo.ts";
import { followMessage } from "./life.ts";
import type { LocalStart } from "./local-start.ts";
import { sendText } from "./send-text.ts";
import { CONTACTS } from "./simulated-phone.ts";
import { StartFailure } from "./start-failure.ts";

const QUIET_MS = 10_000;

const inboundData = z.object({ name: z.string().nullable(), text: z.string().nullable() });

/** Sends it; ends when it was read and answered, or when nothing has been new for ten seconds. */
export async function sendDemoText(
  start: LocalStart,
  demo: Demo,
  from: string,
  signal: AbortSignal,
): Promise<void> {
  const { terminal, stored, state } = start;
  const [contact] = CONTACTS;
  stored.textsSent += 1;
  state.save(stored);
  const text = `Hello ${contact.name}, text no. ${stored.textsSent} from Kabar.`;
  terminal.title(
    `One text to ${contact.name} (${contact.number}) by the old endpoint, and its life`,
  );
  const sentAtMs = systemClock();
  const sent = await sendText(start.product, demo, contact.number, text);
  if (!sent.ok) throw new StartFailure(`The old endpoint refused the text: ${sent.error}`);
  const quiet = Promise.withResolvers<void>();
  let timer = setTimeout(quiet.resolve, QUIET_MS);
  const message = { ...demo, id: sent.value, to: contact.number, text, from, sentAtMs };
  const life = followMessage(
    start.product,
    start.phones,
    message,
    systemClock,
    signal,
    (...step) => {
      clearTimeout(timer);
      timer = setTimeout(quiet.resolve, QUIET_MS);
      terminal.step(...step);
    },
  );
  const answered = Promise.withResolvers<void>();
  start.receiver.heard = (delivery) => {
    timer.refresh();
    const elapsedMs = systemClock() - sentAtMs;
    terminal.step(elapsedMs, "webhook", deliveryLine(delivery, start.receiver.url), "");
    if (delivery.type !== "message.inbound") return;
    const { name, text: reply } = inboundData.parse(delivery.data);
    terminal.step(elapsedMs, "inbound", `${name ?? "somebody"} wrote: "${reply ?? ""}"`, "");
    answered.resolve();
  };
  await Promise.race([Promise.all([life, answered.promise]), quiet.promise]);
  clearTimeout(timer);
  start.tellDeliveries();
}
