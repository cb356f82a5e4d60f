/** WhatsApp's own trouble, and that of the people behind the phones, over the simulator's control API. */
import { setTimeout as pause } from "node:timers/promises";
import { unreachable } from "../../src/domain/result.ts";
import type { FaultParts } from "./faults.ts";
import type { Fault, FaultKind } from "./plan.ts";
import type { Tenant } from "./tenants.ts";

export type WhatsappFaultKind = Extract<
  FaultKind,
  | `whatsapp_${string}`
  | `text_${string}`
  | `ack_${string}`
  | `contact_${string}`
  | "prekeys_gone"
  | "receipt_forged"
>;

const PREKEYS_KEPT = 2;

export class WhatsappFaults {
  readonly #parts: Pick<FaultParts, "whatsapp" | "log" | "tenants">;

  constructor(parts: Pick<FaultParts, "whatsapp" | "log" | "tenants">) {
    this.#parts = parts;
  }

  async strike(kind: WhatsappFaultKind, { target, forMs, code }: Fault): Promise<void> {
    const { whatsapp, tenants } = this.#parts;
    const tenant = tenants[target];
    if (tenant === undefined) throw new Error(`there is no account ${target}`);
    const account = tenant.customer.phone;
    const contact = tenant.contacts[forMs % tenant.contacts.length] ?? "";
    const now = (fault: object): Promise<unknown> =>
      whatsapp.post("/faults", { account, ...fault });
    const arm = async (fault: object): Promise<unknown> => {
      await now(fault);
      return now({ kind: "drop" });
    };
    const acks = (rule: object): Promise<unknown> =>
      whatsapp.post("/acks", { account, count: 1, ...rule });
    switch (kind) {
      case "whatsapp_dropped":
        return ignore(now({ kind: "drop" }));
      case "whatsapp_closed":
        return ignore(now({ kind: "close" }));
      case "whatsapp_error":
        return ignore(now({ kind: "stream_error", code }));
      case "whatsapp_replaced":
        return ignore(now({ kind: "replaced" }));
      case "whatsapp_slow_login":
        return ignore(arm({ kind: "login_delay", ms: forMs }));
      case "whatsapp_login_refused":
        return ignore(arm({ kind: "login_failure", reason: code }));
      case "whatsapp_upgrade_refused":
        // Nobody is known by then: it meets whoever comes next.
        await whatsapp.post("/faults", { kind: "refuse_upgrade", status: code });
        return ignore(now({ kind: "drop" }));
      case "whatsapp_deaf":
        return ignore(now({ kind: "stop_reading", ms: forMs }));
      case "ack_lost":
        return ignore(acks({ mode: "lost" }));
      case "text_swallowed":
        return ignore(acks({ mode: "swallow" }));
      case "text_refused":
        return ignore(acks({ mode: "error", code }));
      case "ack_late":
        await acks({ mode: "hold" });
        await pause(forMs);
        return ignore(whatsapp.post("/acks/release", { account }));
      case "contact_forgets":
        return ignore(whatsapp.post(`/phones/${tenant.contacts[0]}/forget-sessions`));
      case "contact_garbled":
        return ignore(whatsapp.post(`/phones/${contact}/damage-next`, { count: 1 }));
      case "prekeys_gone":
        return ignore(whatsapp.post(`/phones/${account}/prekeys`, { keep: PREKEYS_KEPT }));
      case "receipt_forged":
        return this.#forge(tenant);
      default:
        return unreachable(kind);
    }
  }

  /** Whatever is armed or held. */
  async clear(): Promise<void> {
    const { whatsapp } = this.#parts;
    await whatsapp.post("/acks", { mode: "normal" });
    await whatsapp.post("/acks/release");
    await whatsapp.post("/faults", { kind: "clear" });
    await whatsapp.post("/faults", { kind: "resume_reading" });
  }

  /** For the newest text of the account, from a contact that it did not go to. */
  async #forge({ customer, contacts }: Tenant): Promise<void> {
    const { whatsapp, log } = this.#parts;
    const newest = log.newestText(customer.phone);
    if (newest === null) return;
    const forger = contacts.find((contact) => contact !== newest.to) ?? "";
    for (const type of ["read", "retry"]) {
      const forged = { account: customer.phone, id: newest.id, type, withKeys: type === "retry" };
      await whatsapp.post(`/phones/${forger}/forge-receipt`, forged);
    }
  }
}

async function ignore(answer: Promise<unknown>): Promise<void> {
  await answer;
}
