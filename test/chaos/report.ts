/** The table of a run, in lines for a terminal. Counts and figures only: no texts, no keys. */
import type { Outcome } from "./outcome.ts";
import { median } from "./recovery.ts";
import type { Recovery } from "./recovery.ts";

const WRONG_SHOWN_MAX = 60;

export function reportOf(outcome: Outcome): string {
  const { options, wrong } = outcome;
  const rows: [string, string][] = [
    ["seed, kills, pacing", `${options.seed}, ${outcome.kills}, ${options.isPaced ? "on" : "off"}`],
    ["lasted", `${seconds(outcome.lastedMs)} s, ${seconds(outcome.troubledMs)} s of it trouble`],
    ["faults", listed(outcome.faults)],
    ...textRows(outcome),
    ...eventRows(outcome),
    ["Signal", signalLine(outcome)],
    ...outcome.recoveries.map(recoveryRow),
    ["alerts", outcome.alerts.size === 0 ? "none" : listed(outcome.alerts)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  const found = wrong.slice(0, WRONG_SHOWN_MAX).map((what) => `  ${what}`);
  const more =
    wrong.length > WRONG_SHOWN_MAX ? [`  and ${wrong.length - WRONG_SHOWN_MAX} more`] : [];
  const verdict = wrong.length === 0 ? ["", "Nothing is wrong."] : ["", `${wrong.length} wrong:`];
  return [...lines, ...verdict, ...found, ...more].join("\n");
}

function textRows({ record, seen }: Outcome): [string, string][] {
  const accepted = record.accepted();
  const refused = record.refused();
  const arrived = new Set(seen.screens.map(({ text }) => text));
  const cancelled = record.sent.filter(({ cancel }) => cancel === "done").length;
  const endings = seen.tenants.flatMap(({ endings: all }) => all);
  const ends = Map.groupBy(endings, ({ state, reason }) =>
    state === "reject" ? `reject: ${reason}` : state,
  );
  const twice = endings.filter(({ attempts }) => attempts > 1).length;
  const copies = seen.screens.filter((one) => one.copies > 1).length;
  return [
    ["texts asked for", String(record.sent.length)],
    [
      "  accepted",
      `${accepted.length}, of them ${lost(accepted)} after an answer was lost, ${cancelled} withdrawn`,
    ],
    [
      "  refused",
      `${refused.length} (${listed(codes(refused.map(({ codes: heard }) => heard.at(-1) ?? 0)))})`,
    ],
    [
      "  never answered",
      `${record.unanswered().length}, ${record.unanswered().filter(({ text }) => arrived.has(text)).length} of them on the phone`,
    ],
    ["  ends", listed(new Map([...ends].map(([end, all]) => [end, all.length])))],
    ["  second attempts", `${twice}; ${copies} phones got a copy of the same WhatsApp id`],
    ["  lost by WhatsApp", `${seen.lostAgain.size}, sent again to a reader who had asked`],
  ];
}

function eventRows({ record, seen }: Outcome): [string, string][] {
  const deliveries = seen.tenants.flatMap(({ deliveries: all }) => all);
  const taken = deliveries.filter(({ isTaken }) => isTaken);
  const dead = seen.tenants.reduce((sum, one) => sum + one.dead.length, 0);
  const events = new Set(
    seen.tenants.flatMap((one) => one.deliveries.map(({ id }) => `${one.tenant.index} ${id}`)),
  );
  return [
    ["texts to accounts", String(record.written.length)],
    [
      "webhooks",
      `${events.size} events in ${deliveries.length} posts, ${deliveries.length - taken.length} not taken, ${dead} dead letters`,
    ],
  ];
}

function signalLine({ evidence }: Outcome): string {
  const { ciphertexts, keyReuses, decryptFailures } = evidence;
  return `${ciphertexts} ciphertexts, ${keyReuses} keys used twice, ${decryptFailures} unreadable at first`;
}

function recoveryRow({ what, targetMs, backMs, sendingMs }: Recovery): [string, string] {
  const target = targetMs === null ? "" : ` (target ${seconds(targetMs)})`;
  return [
    what,
    `${sendingMs.length} phones; logged in again after ${spread(backMs)}, sending again after ${spread(sendingMs)}${target}`,
  ];
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return "-";
  const most = Math.max(...values);
  const within = Number.isFinite(most)
    ? `at most ${seconds(most)}`
    : "one not while it was watched";
  return `${seconds(median(values))} s (${within})`;
}

function lost(texts: readonly { lost: number }[]): number {
  return texts.filter((text) => text.lost > 0).length;
}

function codes(all: readonly number[]): Map<string, number> {
  return new Map([...Map.groupBy(all, String)].map(([code, group]) => [code, group.length]));
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([what, count]) => `${count} ${what.replaceAll("_", " ")}`)
    .join(", ");
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}
