/**
 * What goes wrong on purpose, and for whom. Armed faults are used up one by one; those for one account come before
 * those for all. Faults that happen at once (a dropped socket) are not kept here.
 */

export type AckMode = "normal" | "hold" | "lost" | "swallow" | "error";

/** `account` and `to` narrow a rule; `count` null keeps it until it is cleared. */
export type AckRule = {
  account: string | null;
  to: string | null;
  mode: AckMode;
  code: number;
  count: number | null;
};

export type LoginFault = { account: string | null; count: number | null } & (
  | { kind: "failure"; reason: number }
  | { kind: "delay"; ms: number }
);

export type RefusedUpgrade = { status: number; count: number | null };

export class Faults {
  #acks: AckRule[] = [];
  #logins: LoginFault[] = [];
  #upgrades: RefusedUpgrade | undefined;

  addAckRule(rule: AckRule): void {
    this.#acks.push(rule);
  }

  addLoginFault(fault: LoginFault): void {
    this.#logins.push(fault);
  }

  refuseUpgrades(fault: RefusedUpgrade): void {
    this.#upgrades = fault;
  }

  clearAckRules(account: string | null): void {
    this.#acks = account === null ? [] : this.#acks.filter((rule) => rule.account !== account);
  }

  clear(account: string | null): void {
    this.clearAckRules(account);
    this.#logins =
      account === null ? [] : this.#logins.filter((fault) => fault.account !== account);
    if (account === null) this.#upgrades = undefined;
  }

  /** How the server treats one message. The newest rule that fits decides. */
  takeAckRule(account: string, to: string): AckRule | undefined {
    const rule = this.#acks.findLast(
      (one) => (one.account ?? account) === account && (one.to ?? to) === to,
    );
    if (rule === undefined) return undefined;
    this.#acks = useUp(this.#acks, rule);
    return rule;
  }

  takeLoginFaults(account: string): LoginFault[] {
    const fitting = this.#logins.filter((fault) => (fault.account ?? account) === account);
    for (const fault of fitting) this.#logins = useUp(this.#logins, fault);
    return fitting;
  }

  /** The HTTP status to refuse this upgrade with, if any. */
  takeRefusedUpgrade(): number | undefined {
    const fault = this.#upgrades;
    if (fault === undefined) return undefined;
    this.#upgrades = useUp([fault], fault)[0];
    return fault.status;
  }

  report(): { acks: AckRule[]; logins: LoginFault[]; upgrades: RefusedUpgrade | null } {
    return { acks: [...this.#acks], logins: [...this.#logins], upgrades: this.#upgrades ?? null };
  }
}

function useUp<T extends { count: number | null }>(faults: T[], used: T): T[] {
  if (used.count === null) return faults;
  used.count -= 1;
  return used.count > 0 ? faults : faults.filter((fault) => fault !== used);
}
