/**
 * The browser of the tests: Chromium and the libraries it needs, both out of an npm package, so that a bare machine
 * can run it. Downloads nothing and uses nothing that is installed.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import chromium, { inflate } from "@sparticuz/chromium";
import { chromium as playwright } from "playwright-core";
import type { Browser } from "playwright-core";

const PACKED_LIBRARIES = join(
  import.meta.dirname,
  "../../../node_modules/@sparticuz/chromium/bin/al2023.tar.br",
);

export async function launchBrowser(): Promise<Browser> {
  await inflate(PACKED_LIBRARIES);
  return playwright.launch({
    // In one process, closing a page would close the browser.
    args: chromium.args.filter((argument) => argument !== "--single-process"),
    executablePath: await chromium.executablePath(),
    env: { ...process.env, LD_LIBRARY_PATH: join(tmpdir(), "al2023", "lib") },
    headless: true,
  });
}
