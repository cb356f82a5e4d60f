/** The pure rules of placement, on values. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  ASKING_PATIENCE_MS,
  ATTEMPTS_MAX,
  ATTEMPTS_PER_PLACEMENT,
  type Candidate,
  chooseHost,
  compareReport,
  judgeAsking,
  judgeAttempts,
  mintRetryDelayMs,
  nextPlacementId,
  type PlacedDevice,
  TICKET_WAIT_MS,
} from "../../src/fleet/placement.ts";

function candidate(hostId: string, change: Partial<Candidate> = {}): Candidate {
  return { hostId, bootId: "boot", devices: 0, limit: 10, budget: 25, ...change };
}

function placed(deviceId: string, change: Partial<PlacedDevice> = {}): PlacedDevice {
  return {
    deviceId,
    placementId: 7,
    state: "assigned",
    running: false,
    avoidHostId: null,
    ...change,
  };
}

const steady = { hostId: "h1", draining: false };

describe("choosing a host", () => {
  it("takes the one with the lowest share of its limit in use", () => {
    const hosts = [
      candidate("half", { devices: 5 }),
      candidate("large", { devices: 20, limit: 100 }),
      candidate("full", { devices: 10 }),
    ];
    expect(chooseHost(hosts, null)?.hostId).toBe("large");
  });

  it("avoids a host only while another has room", () => {
    const hosts = [candidate("a"), candidate("b", { devices: 9 })];
    expect(chooseHost(hosts, "a")?.hostId).toBe("b");
    expect(chooseHost([candidate("a"), candidate("b", { devices: 10 })], "a")?.hostId).toBe("a");
  });

  it("knows no host when all are full or have had their share of this second", () => {
    expect(chooseHost([], null)).toBeNull();
    expect(chooseHost([candidate("a", { devices: 10 })], null)).toBeNull();
    expect(chooseHost([candidate("a", { devices: 11 })], null)).toBeNull();
    expect(chooseHost([candidate("a", { budget: 0 })], null)).toBeNull();
  });

  it("never overfills a host and finds room whenever there is some", () => {
    const hosts = fc.uniqueArray(
      fc.record({
        hostId: fc.stringMatching(/^[a-z]{1,4}$/),
        bootId: fc.constant("boot"),
        devices: fc.integer({ min: 0, max: 12 }),
        limit: fc.integer({ min: 1, max: 10 }),
        budget: fc.integer({ min: -2, max: 3 }),
      }),
      { selector: ({ hostId }) => hostId, maxLength: 6 },
    );
    fc.assert(
      fc.property(hosts, fc.option(fc.stringMatching(/^[a-z]{1,4}$/)), (all, avoid) => {
        const open: Candidate[] = all.filter(
          ({ devices, limit, budget }) => devices < limit && budget > 0,
        );
        const chosen = chooseHost(all, avoid);
        if (open.length === 0) return chosen === null;
        return chosen !== null && open.includes(chosen);
      }),
    );
  });
});

describe("comparing a report", () => {
  it("confirms what it should run and sees it running once", () => {
    const difference = compareReport(
      steady,
      [placed("d1"), placed("d2", { running: true })],
      [
        { deviceId: "d1", placementId: 7 },
        { deviceId: "d2", placementId: 7 },
      ],
    );
    expect(difference).toEqual({ confirmed: ["d1"], adopted: [], missing: [], withdrawn: [] });
  });

  it("withdraws strangers and other placement ids, older or newer", () => {
    const running = [
      { deviceId: "stranger", placementId: 7 },
      { deviceId: "d1", placementId: 6 },
      { deviceId: "d2", placementId: 8 },
    ];
    const difference = compareReport(steady, [placed("d1"), placed("d2")], running);
    expect(difference.withdrawn).toEqual(running);
  });

  it("misses only what had been running", () => {
    const difference = compareReport(steady, [placed("d1"), placed("d2", { running: true })], []);
    expect(difference.missing).toEqual(["d2"]);
  });

  it("counts a device as missing when the host runs an older placement of it", () => {
    const difference = compareReport(
      steady,
      [placed("d1", { running: true })],
      [{ deviceId: "d1", placementId: 6 }],
    );
    expect(difference.missing).toEqual(["d1"]);
    expect(difference.withdrawn).toHaveLength(1);
  });

  it("leaves a device to the host that still runs it when no other has it yet", () => {
    const running = [{ deviceId: "d1", placementId: 7 }];
    const wanted = placed("d1", { state: "wanted" });
    expect(compareReport(steady, [wanted], running).adopted).toEqual(["d1"]);
    const draining = { hostId: "h1", draining: true };
    expect(compareReport(draining, [wanted], running).withdrawn).toEqual(running);
    const avoided = placed("d1", { state: "wanted", avoidHostId: "h1" });
    expect(compareReport(steady, [avoided], running).withdrawn).toEqual(running);
  });
});

describe("a device that asks again", () => {
  const asked = { running: false, assignedMs: 1_000, askedSinceMs: null, askedLastMs: null };

  it("stays while its host may still use the ticket, then goes", () => {
    expect(judgeAsking(asked, 1_000 + TICKET_WAIT_MS - 1).verdict).toBe("stay");
    expect(judgeAsking(asked, 1_000 + TICKET_WAIT_MS).verdict).toBe("anew");
  });

  it("stays where it is reported running until it has asked for a minute", () => {
    const sinceMs = 50_000;
    const running = { ...asked, running: true, askedSinceMs: sinceMs, askedLastMs: 90_000 };
    expect(judgeAsking(running, sinceMs + ASKING_PATIENCE_MS - 1).verdict).toBe("stay");
    expect(judgeAsking(running, sinceMs + ASKING_PATIENCE_MS).verdict).toBe("anew");
  });

  it("begins a new run of asking after a long silence", () => {
    const nowMs = 1_000_000;
    const running = { ...asked, running: true, askedSinceMs: 10_000, askedLastMs: 90_000 };
    expect(judgeAsking(running, nowMs)).toEqual({ verdict: "stay", sinceMs: nowMs });
  });
});

describe("trying again", () => {
  it("repeats, then goes elsewhere, then ends", () => {
    const verdicts = Array.from({ length: ATTEMPTS_MAX + 1 }, (_, index) => judgeAttempts(index));
    expect(verdicts[0]).toBe("again");
    expect(verdicts[ATTEMPTS_PER_PLACEMENT - 1]).toBe("again");
    expect(verdicts[ATTEMPTS_PER_PLACEMENT]).toBe("anew");
    expect(verdicts[ATTEMPTS_MAX]).toBe("drop");
  });

  it("waits longer each time, spread by chance, up to half a minute", () => {
    expect(mintRetryDelayMs(1, 0)).toBe(500);
    expect(mintRetryDelayMs(1, 1)).toBe(1_000);
    expect(mintRetryDelayMs(4, 0.5)).toBe(6_000);
    expect(mintRetryDelayMs(1_000, 1)).toBe(30_000);
  });
});

describe("placement ids", () => {
  it("rise for ever, also when the clock goes back or the storage is lost", () => {
    expect(nextPlacementId(0, 5_000)).toBe(5_000);
    expect(nextPlacementId(5_000, 5_000)).toBe(5_001);
    expect(nextPlacementId(9_000, 5_000)).toBe(9_001);
  });
});
