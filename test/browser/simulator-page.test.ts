/**
 * The simulator's page in a real browser, at desktop and phone width: it shows the phones, updates by itself, lets a
 * person look at a chat, and shows a text as text, whatever it contains. Needs no browser of the machine's.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startSimulator } from "../../session-host/simulator/simulator.ts";
import { launchBrowser } from "./support/browser.ts";

const PHONE = "6281234567001";
const CONTACT = "6281310003001";
const WIDTHS = { desktop: 1280, phone: 360 } as const;

let simulator: Awaited<ReturnType<typeof startSimulator>>;
let browser: Browser;

beforeAll(async () => {
  simulator = await startSimulator({ port: 0 });
  browser = await launchBrowser();
});

afterAll(async () => {
  await browser.close();
  await simulator.close();
});

async function post(path: string, body: unknown): Promise<void> {
  const response = await fetch(`${simulator.url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.ok).toBe(true);
}

async function openPage(width: number): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage({ viewport: { width, height: 740 } });
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => {
    if (line.type() === "error") errors.push(line.text());
  });
  await page.goto(simulator.url);
  return { page, errors };
}

for (const [name, width] of Object.entries(WIDTHS)) {
  describe(`the simulator's page at ${name} width`, () => {
    test("shows a text that arrives while it is open, as text and nothing else", async () => {
      await post(`/phones/${PHONE}`, { name: "Demo shop" });
      const { page, errors } = await openPage(width);
      const text = `<img src=x onerror="document.title='broken'"> ${name}`;
      await post(`/phones/${CONTACT}/send`, { to: PHONE, text });
      await page.getByText(text).first().waitFor({ timeout: 30_000 });
      expect(await page.title()).not.toBe("broken");
      expect(await page.locator("img[src=x]").count()).toBe(0);
      expect(errors).toEqual([]);
      await page.close();
    });

    test("fits the screen, a long text in the list of chats as well", async () => {
      await post(`/phones/${PHONE}`, { name: "Demo shop" });
      const text = `${name}: ${"panjang ".repeat(30)}`;
      await post(`/phones/${CONTACT}/send`, { to: PHONE, text });
      const { page } = await openPage(width);
      const chat = page.locator("#chats button").first();
      await chat.waitFor();
      expect(
        await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        ),
      ).toBe(0);
      const list = await page.locator("aside").boundingBox();
      await expect
        .poll(async () => (await chat.boundingBox())?.width)
        .toBeLessThan(list?.width ?? 0);
      await page.close();
    });

    test("leaves the keyboard where it was while news of another phone comes in", async () => {
      await post(`/phones/${PHONE}`, { name: "Demo shop" });
      await post(`/phones/${CONTACT}/send`, { to: PHONE, text: `fokus ${name}` });
      const { page } = await openPage(width);
      await page.locator("#chats button").first().focus();
      const stranger = width === WIDTHS.phone ? "6281310003008" : "6281310003009";
      await post(`/phones/${stranger}/send`, { to: "6281310003010", text: "halo" });
      await page.locator(`#phone option[value="${stranger}"]`).waitFor({ state: "attached" });
      expect(await page.evaluate("document.activeElement.closest('#chats') !== null")).toBe(true);
      await page.close();
    });
  });
}
