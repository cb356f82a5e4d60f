/** How a delivered webhook is told on a terminal: what it was, where it went and what was answered. No text, no number. */
import type { Delivery } from "./receiver.ts";

export function deliveryLine({ type, status }: Delivery, url: string): string {
  return `${type} delivered to ${url.replace(/\/kabar$/, "")} ${status}`;
}
