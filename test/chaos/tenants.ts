/**
 * Who takes part: accounts with a paired phone, a webhook and contacts, all made through the product's own interfaces
 * before anything goes wrong. One of them has little money.
 */
import { demand } from "../../session-host/local/demo.ts";
import type { Customer, Stack } from "../flow/support/stack.ts";
import type { Receiver } from "../flow/support/receiver.ts";
import { ACCOUNTS } from "./plan.ts";

const CONTACTS = 8;
export const PRICE_RUPIAH = 200;
const RUPIAH = 1_500_000;
const POOR_RUPIAH = 60 * PRICE_RUPIAH;

export interface Tenant {
  index: number;
  customer: Customer;
  rupiah: number;
  contacts: string[];
  /** A number that is not on WhatsApp. */
  stranger: string;
  endpointId: string;
  secret: string;
  /** Of its webhook. */
  path: string;
}

export function makeTenants(stack: Stack, receiver: Receiver): Promise<Tenant[]> {
  return Promise.all(Array.from({ length: ACCOUNTS }, (_, index) => make(stack, receiver, index)));
}

async function make(stack: Stack, receiver: Receiver, index: number): Promise<Tenant> {
  const two = String(index).padStart(2, "0");
  const rupiah = index === ACCOUNTS - 1 ? POOR_RUPIAH : RUPIAH;
  const customer = await stack.customer({ phone: `62812345671${two}`, rupiah });
  const path = `/account-${index}`;
  const made = await stack.product.createEndpoint(customer.apiKey, receiver.url(path));
  const { id, secret } = demand(made, "create a webhook");
  return {
    index,
    customer,
    rupiah,
    contacts: Array.from({ length: CONTACTS }, (_, at) => `628131${two}020${10 + at}`),
    stranger: `628131${two}30000`,
    endpointId: id,
    secret,
    path,
  };
}
