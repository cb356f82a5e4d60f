/**
 * An account that may not start new chats: its texts to anyone it has no chat with are refused with 463, its known
 * chats go on, and its clients may ask until when, or are told.
 */

import { SERVER } from "./jid.ts";
import type { Network } from "./network.ts";
import type { Phone } from "./phone.ts";
import { element } from "./stanza.ts";

const REFUSED_CODE = 463;
/** How clients name the reason when there is none in particular. */
const ENFORCEMENT = "DEFAULT";

/** The code that a text to this number is refused with, if it is. */
export function refusalOfNewChat(
  network: Network,
  account: Phone,
  destination: Phone,
): number | undefined {
  if (!isRestricted(network, account) || destination === account) return undefined;
  return account.screen.knows(destination.number) ? undefined : REFUSED_CODE;
}

/** The answer to a client's question. */
export function restrictionState(network: Network, account: Phone): Record<string, unknown> {
  if (!isRestricted(network, account)) return { is_active: false };
  const untilMs = account.restriction?.untilMs ?? null;
  return {
    is_active: true,
    enforcement_type: ENFORCEMENT,
    ...(untilMs === null ? {} : { time_enforcement_ends: seconds(untilMs) }),
  };
}

/** Tells the account's clients; they acknowledge it. */
export function announceRestriction(network: Network, account: Phone): void {
  const data = { xwa2_notify_account_reachout_timelock: restrictionState(network, account) };
  for (const linked of account.linked.values()) {
    const attrs = { id: network.newId("mex"), from: SERVER, type: "mex", t: network.seconds };
    const update = element(
      "update",
      { op_name: "NotificationUserReachoutTimelockUpdate" },
      Buffer.from(JSON.stringify({ data })),
    );
    network.deliver(account, linked, element("notification", attrs, [update]));
  }
}

function isRestricted(network: Network, account: Phone): boolean {
  const { restriction } = account;
  if (restriction === null) return false;
  return restriction.untilMs === null || restriction.untilMs > network.now();
}

function seconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}
