/** Which reading of a text each key takes, seen in what was sealed for the device; and how long it may be. */
import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { systemRandomBytes } from "../../src/domain/id.ts";
import { BodySeal } from "../../src/gateway/body-seal.ts";
import { newCustomer, newKey, packetsOf, send, type Customer } from "./support/harness.ts";

const seal = new BodySeal([env.BODY_KEY], systemRandomBytes);
const NUMBER = "6281234567890";

/** The text that was accepted, or the code that refused it. */
async function taken(customer: Pick<Customer, "apiKey" | "waid">, message: string) {
  const [told] = packetsOf(await send(customer, [{ number: NUMBER, message }]));
  if (told?.sendingstatus !== 10) return told?.sendingstatus;
  const row = await env.DB.prepare("SELECT id, nonce, body FROM messages WHERE id = ?")
    .bind(told.sendingid)
    .first<{ id: number; nonce: string; body: string }>();
  return row === null ? "no row" : seal.open(row, row.body);
}

/** PHP's urlencode: all but letters, digits, - _ . is escaped, a space is a plus. */
function phpUrlencode(text: string): string {
  return encodeURIComponent(text)
    .replace(/[~!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

/** PHP's utf8_encode: takes each byte for a character of Latin-1. */
function utf8Encode(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

describe("a key that", () => {
  it("decides by itself decodes what a url encoder wrote, once, and nothing else", async () => {
    const customer = await newCustomer();
    expect(await taken(customer, "Kontrol+besok+jam+9%3A00")).toBe("Kontrol besok jam 9:00");
    expect(await taken(customer, "Diskon 100%25 untuk Anda + teman")).toBe(
      "Diskon 100%25 untuk Anda + teman",
    );
    expect(await taken(customer, "Kode%2B%2531%2B23456")).toBe("Kode+%31+23456");
    expect(await taken(customer, "Caf%C3%83%C2%A9+sudah+buka")).toBe("Café sudah buka");
    expect(await taken(customer, "Rusak%E2%82+tapi+panjang")).toBe("Rusak%E2%82+tapi+panjang");
  });

  it("takes texts plainly decodes nothing", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { encoding: "plain" });
    const text = "Kontrol+besok+jam+9%3A00";
    expect(await taken({ apiKey, waid: customer.waid }, text)).toBe(text);
  });

  it("takes url-encoded texts decodes all, and refuses what is none", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { encoding: "urlencoded" });
    const caller = { apiKey, waid: customer.waid };
    expect(await taken(caller, "Kontrol besok%2C jam+9")).toBe("Kontrol besok, jam 9");
    expect(await taken(caller, "Diskon 100% untuk Anda")).toBe(70);
  });
});

describe("what the PHP sample and its copies make of a text", () => {
  const text = "Yth. Ibu Renée: kontrol 9 Mei, jam 09.00 – 10.00 😀 & bawa kartu 100%";

  it.each([
    ["json_encode", text, text],
    ["json_encode, without escaped slashes or unicode", JSON.stringify(text).slice(1, -1), text],
    ["urlencode", phpUrlencode(text), text],
    ["rawurlencode", phpUrlencode(text).replaceAll("+", "%20"), text],
    ["urlencode(utf8_encode()) of UTF-8", phpUrlencode(utf8Encode(text)), text],
    ["utf8_encode(urlencode())", utf8Encode(phpUrlencode(text)), text],
    ["urlencode() of a text typed on Windows", phpUrlencode("Satu\r\nDua tiga"), "Satu\nDua tiga"],
    // Once only, and only what was url-encoded is repaired.
    ["urlencode() twice", phpUrlencode(phpUrlencode(text)), phpUrlencode(text)],
    ["utf8_encode() of UTF-8 alone", utf8Encode("Café sudah buka"), utf8Encode("Café sudah buka")],
    ["urlencode() of Latin-1", "Caf%E9+sudah+buka", "Caf%E9+sudah+buka"],
  ])("%s", async (how, sent, arrives) => {
    const written = how.includes("unicode") ? (JSON.parse(`"${sent}"`) as string) : sent;
    expect(await taken(await newCustomer(), written)).toBe(arrives);
  });
});

describe("a text", () => {
  it("is trimmed, has plain line ends, and counts in code points", async () => {
    const customer = await newCustomer();
    expect(await taken(customer, "  Baris satu\r\nBaris dua  ")).toBe("Baris satu\nBaris dua");
    expect(await taken(customer, "  123456789  ")).toBe(70);
    expect(await taken(customer, "😀".repeat(10))).toBe("😀".repeat(10));
    expect(await taken(customer, "😀".repeat(9))).toBe(70);
    expect(await taken(customer, "😀".repeat(1_000))).toBe("😀".repeat(1_000));
    expect(await taken(customer, "😀".repeat(1_001))).toBe(70);
    expect(await taken(customer, "cukup panjang \ud83d")).toBe(70);
    expect(await taken(customer, "cukup panjang \0 nol")).toBe(70);
  });

  it("may be no longer than the account's ceiling", async () => {
    const customer = await newCustomer({ account: { text_length_max: 480 } });
    expect(await taken(customer, "a".repeat(481))).toBe(70);
    expect(await taken(customer, "b".repeat(480))).toBe("b".repeat(480));
  });
});

describe("a key's category", () => {
  it("is the default for what is sent at once, and an OTP lives five minutes", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { default_category: "otp" });
    await taken({ apiKey, waid: customer.waid }, "Kode masuk Anda 492810");
    await taken(customer, "Pengingat untuk semua");
    const { results } = await env.DB.prepare(
      "SELECT category, expires_ms - due_ms AS life FROM messages WHERE account_id = ? ORDER BY accepted_ms, category DESC",
    )
      .bind(customer.accountId)
      .all();
    expect(results).toContainEqual({ category: "otp", life: 300_000 });
    expect(results).toContainEqual({ category: "notification", life: 86_400_000 });
  });

  it("gives way to reminder for what is scheduled, whatever the default", async () => {
    const customer = await newCustomer();
    const apiKey = await newKey(customer.accountId, { default_category: "otp" });
    const later = new Date(Date.now() + 86_400_000).toISOString().slice(0, 16);
    const packet = { number: NUMBER, message: "Pengingat untuk besok", sendingdatetime: later };
    expect(packetsOf(await send({ apiKey, waid: customer.waid }, [packet]))[0]?.sendingstatus).toBe(
      10,
    );
    const row = await env.DB.prepare(
      "SELECT category, expires_ms - due_ms AS life FROM messages WHERE account_id = ?",
    )
      .bind(customer.accountId)
      .first();
    expect(row).toEqual({ category: "reminder", life: 86_400_000 });
  });
});
