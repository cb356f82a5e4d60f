/**
 * What a device does because time came, and when the next of it is due. Each job is safe to repeat; one that fails
 * is logged and does not keep the others from running. Sets no alarm (agenda.ts).
 */
import type { Clock } from "../domain/clock.ts";
import { errorFields, logAlert } from "../domain/log.ts";
import type { Parts } from "./parts.ts";

/** Everything that needs no call to the outside. */
export function runLocalJobs(parts: Parts, nowMs: number): void {
  const { identity } = parts;
  const jobs: [name: string, job: () => void][] = [
    ["news", () => parts.news.run(nowMs)],
    ["deadlines", () => parts.deadlines.run(nowMs)],
    ["pairing", () => parts.pairing.run(nowMs)],
    ["retention", () => parts.retention.run(nowMs)],
    ["restriction", () => parts.restriction.run(nowMs)],
    ["handover", () => parts.handOver.pump(nowMs)],
  ];
  for (const [name, job] of jobs) {
    try {
      parts.transaction(job);
    } catch (error) {
      logAlert("job failed", { device: identity.state.deviceId, job: name, ...errorFields(error) });
    }
  }
}

/** Calls to D1 and the Fleet; each bounds and repeats itself. An alarm may flush before the full delay. */
export async function runRemoteJobs(
  parts: Parts,
  clock: Clock,
  mode: "due" | "alarm",
): Promise<void> {
  const nowMs = clock();
  const work: Promise<void>[] = [];
  const flushNow = mode === "alarm" ? parts.flush.mayRun(nowMs) : parts.flush.isDue(nowMs);
  if (flushNow) work.push(parts.flush.run(clock));
  if (parts.mirror.isDue(nowMs)) work.push(parts.mirror.run(clock));
  if (parts.repost.isDue(nowMs)) work.push(parts.repost.run(clock));
  if (parts.feeds.isDue(nowMs)) work.push(parts.feeds.run(clock));
  if (parts.wish.isDue(nowMs)) work.push(parts.wish.run(clock));
  if (parts.archives.isDue(nowMs)) work.push(parts.archives.run(clock));
  await Promise.all(work);
}

export function hasRemoteJobs(parts: Parts, nowMs: number): boolean {
  const { flush, mirror, repost, feeds, wish, archives } = parts;
  return [flush, mirror, repost, feeds, wish, archives].some((job) => job.isDue(nowMs));
}

/** The earliest due time of all jobs, overdue ones included; null when only an event can bring work. */
export function nextJobMs(parts: Parts, nowMs: number): number | null {
  const times = [
    parts.deadlines.nextMs(nowMs),
    parts.handOver.nextMs(nowMs),
    parts.pairing.nextMs(),
    parts.restriction.nextMs(nowMs),
    parts.retention.nextMs(),
    parts.flush.nextMs(),
    parts.mirror.nextMs(nowMs),
    parts.repost.nextMs(nowMs),
    parts.news.nextMs(nowMs),
    parts.feeds.nextMs(nowMs),
    parts.wish.nextMs(nowMs),
    parts.archives.nextMs(),
  ].filter((atMs) => atMs !== null);
  return times.length === 0 ? null : Math.min(...times);
}
