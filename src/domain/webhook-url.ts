/**
 * Which addresses a customer's webhook may have, so that nobody makes this gateway knock at doors of its own network:
 * public DNS names over TLS. Pure rules on the text of the address; it resolves no names. Checked when an endpoint is
 * saved and again before every attempt.
 */
import type { Result } from "./result.ts";
import { err, ok } from "./result.ts";

export interface WebhookUrlRules {
  /** The customer ticked that this receiver has no TLS. */
  allowHttp: boolean;
  /** For a start on one machine only: its own address, any port. */
  allowLoopback: boolean;
  /** Host names this gateway answers at; they and what lies below them are refused. */
  ownHosts: readonly string[];
}

const LENGTH_MAX = 2_048;
const PORTS: ReadonlySet<string> = new Set(["", "80", "443", "8080", "8443"]);
const LABEL = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
/** The last label of every public name: letters, or the written form of other scripts. */
const TOP_LEVEL = /^(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})$/;
const LOOPBACK = /^(?:localhost|127\.0\.0\.1|\[::1\])$/;
/** Names that no public DNS serves. */
const PRIVATE_ENDINGS = [
  "localhost",
  "localdomain",
  "local",
  "internal",
  "intranet",
  "private",
  "corp",
  "home",
  "lan",
  "arpa",
  "onion",
  "test",
  "invalid",
  "example",
] as const;

/** The address as it will be called, or one sentence for the customer that says what is wrong with it. */
export function checkWebhookUrl(written: string, rules: WebhookUrlRules): Result<string, string> {
  const text = written.trim();
  if (text.length > LENGTH_MAX) return err(`The URL is longer than ${LENGTH_MAX} characters.`);
  if (!URL.canParse(text)) return err("This is not a complete URL; it starts with https://.");
  const url = new URL(text);
  const wrong = wrongWithForm(url, rules) ?? wrongWithHost(url, rules);
  if (wrong !== null) return err(wrong);
  url.hash = "";
  return ok(url.href);
}

function wrongWithForm(url: URL, { allowHttp }: WebhookUrlRules): string | null {
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return "The URL must start with https://.";
  }
  if (url.protocol === "http:" && !allowHttp) {
    return "The URL must start with https://, unless plain http is allowed for this endpoint.";
  }
  if (url.username !== "" || url.password !== "") {
    return "The URL must not contain a user name or password.";
  }
  return null;
}

function wrongWithHost(url: URL, { allowLoopback, ownHosts }: WebhookUrlRules): string | null {
  const host = url.hostname;
  if (LOOPBACK.test(host)) {
    return allowLoopback ? null : "The URL must not point to this machine (loopback).";
  }
  if (!PORTS.has(url.port)) return "The port must be 443, 80, 8443 or 8080.";
  if (host.endsWith(".")) return "The host name must not end with a dot.";
  const labels = host.split(".");
  const last = labels.at(-1) ?? "";
  // The parser writes every spelling of an IPv4 address (decimal, hex, octal, short) as four numbers.
  if (host.startsWith("[") || /^\d+$/.test(last)) {
    return "The URL must name a host, not an IP address.";
  }
  if (labels.length < 2) return "The host name must be a full public name with a dot in it.";
  if (!TOP_LEVEL.test(last) || !labels.every((label) => LABEL.test(label))) {
    return "The host name is not a valid public name.";
  }
  if (PRIVATE_ENDINGS.some((ending) => ending === last)) {
    return `Names that end in .${last} are not public.`;
  }
  const isOwn = ownHosts.some((own) => host === own || host.endsWith(`.${own}`));
  return isOwn ? "The URL must not point back to this gateway." : null;
}
