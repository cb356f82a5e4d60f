/**
 * Small things both halves of the fake edge need: waiting for a condition without sleeping, and text frames.
 */
import type { EventEmitter } from "node:events";
import type { RawData } from "ws";

export function waitUntil(
  changes: EventEmitter,
  condition: () => boolean,
  withinMs: number,
): Promise<void> {
  if (condition()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const check = (): void => {
      if (!condition()) return;
      clearTimeout(timer);
      changes.off("change", check);
      resolve();
    };
    const timer = setTimeout(() => {
      changes.off("change", check);
      reject(new Error(`did not happen within ${withinMs} ms: ${condition.toString()}`));
    }, withinMs);
    changes.on("change", check);
  });
}

export function textOf(data: RawData): string {
  return Buffer.isBuffer(data) ? Buffer.from(data).toString() : "";
}
