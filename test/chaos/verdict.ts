/**
 * Compares the load's own record with what is there after the trouble. Pure: (record, truth) -> what is wrong, in
 * sentences. Refuses to excuse anything that the record and WhatsApp's own log do not explain.
 */
import type { LoadRecord, SentText, WrittenText } from "./record.ts";
import { PRICE_RUPIAH } from "./tenants.ts";
import type { Delivery, Ending, OnScreen, TenantTruth } from "./witness.ts";

export interface Witnessed {
  tenants: readonly TenantTruth[];
  screens: readonly OnScreen[];
  /** `<phone of the account> <recipient>`, once for each error that WhatsApp answered a text with. */
  refusals: readonly string[];
  /** WhatsApp ids that WhatsApp had taken, and lost when they were sent again to a reader who asked. */
  lostAgain: ReadonlySet<string>;
}

const PROVED = new Set(["sent", "received", "read"]);
const RANKS = ["pending", "sent", "received", "read"];
const NEVER_LEFT = new Set(["not_on_whatsapp", "account_restricted", "refused_by_whatsapp"]);

export function findWrong(record: LoadRecord, seen: Witnessed): string[] {
  const shown = Map.groupBy(seen.screens, ({ text }) => text);
  return seen.tenants.flatMap((truth) => [
    ...wrongTexts(record, truth, seen, shown),
    ...wrongMoney(record, truth, seen, shown),
    ...wrongStatuses(truth),
    ...wrongInbound(record.written, truth),
  ]);
}

function wrongTexts(
  record: LoadRecord,
  truth: TenantTruth,
  seen: Witnessed,
  shown: Map<string, OnScreen[]>,
): string[] {
  const { index, customer } = truth.tenant;
  const endings = new Map(truth.endings.map((ending) => [ending.id, ending]));
  const refusals = new Map<string, number>();
  for (const to of seen.refusals) refusals.set(to, (refusals.get(to) ?? 0) + 1);
  const wrong: string[] = [];
  for (const text of record.sent.filter(({ account }) => account === index)) {
    const places = shown.get(text.text) ?? [];
    const [id] = text.ids;
    const ending = id === undefined ? null : (endings.get(id) ?? null);
    const found = [
      ...wrongPlaces(text, places, customer.phone),
      ...(id === undefined ? wrongWithoutAnswer(text, places.length) : []),
      ...(id === undefined ? [] : wrongEnding(text, ending, places.length, seen.lostAgain)),
    ];
    if (ending?.state === "reject" && NEVER_LEFT.has(ending.reason ?? "") && text.flaw === "none") {
      const who = `${customer.phone} ${text.to}`;
      const left = refusals.get(who) ?? 0;
      if (left === 0) found.push(`rejected as ${ending.reason}, which WhatsApp never said`);
      refusals.set(who, left - 1);
    }
    wrong.push(...found.map((what) => `${described(text, ending)}: ${what}`));
  }
  return wrong;
}

function described(text: SentText, ending: Ending | null): string {
  const codes = `codes ${text.codes.join(" ") || "none"}, ${text.lost} answers lost`;
  const end =
    ending === null ? "" : `, ${ending.state} ${ending.reason ?? ""} after ${ending.attempts}`;
  const id = text.ids.length === 0 ? "" : ` ${text.ids.join(" ")}`;
  return `account ${text.account}, text "${text.text.slice(-16)}"${id} (${codes}${end}, cancel ${text.cancel})`;
}

/** A text shows once, at its recipient, from its account. */
function wrongPlaces(text: SentText, places: readonly OnScreen[], phone: string): string[] {
  const strays = places.filter(({ number, from }) => number !== text.to || from !== phone);
  if (strays.length > 0) return ["on a phone that it was not for"];
  if (places.length > 1) {
    const ids = new Set(places.map(({ waId }) => waId));
    return [`${places.length} times on the phone, under ${ids.size} WhatsApp ids`];
  }
  return [];
}

/** Nobody said that it was accepted. With every answer heard it is nowhere; else it may be there once. */
function wrongWithoutAnswer(text: SentText, count: number): string[] {
  return text.lost === 0 && count > 0 ? ["refused, and on the phone"] : [];
}

function wrongEnding(
  text: SentText,
  ending: Ending | null,
  count: number,
  lostAgain: ReadonlySet<string>,
): string[] {
  const wrong: string[] = [];
  if (text.ids.length > 1) wrong.push("accepted under two ids");
  if (text.cancel === "unknown") wrong.push("its cancel got an answer without sense");
  if (ending === null) return [...wrong, "accepted, and unknown to its device"];
  const { state, reason } = ending;
  if (text.cancel === "done" && state !== "cancel")
    wrong.push("cancelled, and not so at its device");
  if (text.flaw === "stranger" && state !== "cancel" && reason !== "not_on_whatsapp") {
    wrong.push("its recipient is not on WhatsApp");
  }
  if (PROVED.has(state)) {
    const isLostByWhatsapp = state === "sent" && lostAgain.has(ending.waId ?? "");
    if (count === 0 && !isLostByWhatsapp) wrong.push("told as sent, and not on the phone");
  } else if (state === "cancel") {
    if (count > 0) wrong.push("withdrawn, and on the phone");
    const byCustomer = text.cancel === "done" || text.cancel === "asked";
    if (reason !== "cancelled_by_customer" || !byCustomer) wrong.push("lost: nobody withdrew it");
  } else if (state === "reject") {
    if (count > 0 && reason !== "no_acknowledgement") wrong.push("rejected, and on the phone");
    if (reason !== "no_acknowledgement" && !NEVER_LEFT.has(reason ?? ""))
      wrong.push("rejected without cause");
  } else {
    wrong.push("not final");
  }
  return wrong;
}

/** Paid is what arrived. What left without any proof, ever, may have arrived and is not paid. */
function wrongMoney(
  record: LoadRecord,
  truth: TenantTruth,
  { lostAgain }: Witnessed,
  shown: Map<string, OnScreen[]>,
): string[] {
  const { index } = truth.tenant;
  const arrived = record.sent.filter(
    ({ account, text }) => account === index && (shown.get(text)?.length ?? 0) > 0,
  ).length;
  const unproved = truth.endings.filter(({ reason }) => reason === "no_acknowledgement").length;
  const lost = truth.endings.filter(
    ({ state, waId }) => state === "sent" && lostAgain.has(waId ?? ""),
  );
  const most = (arrived + lost.length) * PRICE_RUPIAH;
  const least = (arrived - unproved) * PRICE_RUPIAH;
  return truth.spentRupiah >= least && truth.spentRupiah <= most
    ? []
    : [`account ${index}: paid ${truth.spentRupiah} for ${arrived} texts that arrived`];
}

/** What a customer's server took of a message tells its end, and never went back. */
function wrongStatuses({
  tenant,
  endings,
  deliveries,
  dead,
  waiting,
  unfed,
}: TenantTruth): string[] {
  const told = Map.groupBy(firstTakings(deliveries), ({ data }) => String(data["id"]));
  const wrong: string[] = [];
  if (unfed > 0) wrong.push("a device holds events that its webhook has not got");
  if (waiting > 0) wrong.push(`${waiting} events neither delivered nor dead`);
  const unsigned = deliveries.filter(({ isSigned }) => !isSigned).length;
  if (unsigned > 0) wrong.push(`${unsigned} events with a wrong signature`);
  for (const { id, state } of endings) {
    if (dead.includes(`message:${tenant.customer.waid}:${id}`)) continue;
    const types = (told.get(String(id)) ?? []).map(({ type }) => type.replace("message.", ""));
    const ranks = types.map((type) => (RANKS.includes(type) ? RANKS.indexOf(type) : RANKS.length));
    const isRising = ranks.every((rank, at) => at === 0 || rank > (ranks[at - 1] ?? 0));
    if (types.at(-1) !== state || !isRising) {
      wrong.push(
        `message ${id} ended ${state}; its webhook was told ${types.join(", ") || "nothing"}`,
      );
    }
  }
  return wrong.map((what) => `account ${tenant.index}: ${what}`);
}

/** Each text that a contact wrote is one event, whatever became of hosts and bridges. */
function wrongInbound(
  written: readonly WrittenText[],
  { tenant, deliveries }: TenantTruth,
): string[] {
  const told = Map.groupBy(
    firstTakings(deliveries).filter(({ type }) => type === "message.inbound"),
    ({ data }) => String(data["text"]),
  );
  return written
    .filter(({ account }) => account === tenant.index)
    .flatMap(({ from, text }) => {
      const events = told.get(text) ?? [];
      if (events.length === 1 && events[0]?.data["from"] === from) return [];
      const senders = events.map(({ data }) => String(data["from"])).join(", ");
      return [
        `account ${tenant.index}: "${text.slice(-16)}" from ${from} told ${events.length} times (${senders})`,
      ];
    });
}

/** The first time that each event was taken, in order. */
function firstTakings(deliveries: readonly Delivery[]): Delivery[] {
  const taken = new Map<string, Delivery>();
  for (const one of deliveries) if (one.isTaken && !taken.has(one.id)) taken.set(one.id, one);
  return [...taken.values()];
}
