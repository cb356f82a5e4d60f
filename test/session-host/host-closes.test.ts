/**
 * What the end of a connection means: every code WhatsApp could name, for a phone that is paired and for one that is being
 * paired, whether the phone removed us or not, and every end of our own making. The expected answers are written
 * down here a second time, by reading the table of reactions, not by calling the code.
 */
import { expect, test } from "vitest";
import { reactionTo, type Closer, type Reaction } from "../../session-host/disconnect.ts";
import { closeReasons } from "../../src/bridge/wire.ts";

/** Codes that mean something; every other one, and none at all, is temporary. */
const MEANINGS: Record<number, { paired: string; pairing: string }> = {
  401: { paired: "logged_out never", pairing: "logged_out never" },
  402: { paired: "blocked never", pairing: "blocked never" },
  403: { paired: "banned never", pairing: "banned never" },
  405: { paired: "client_outdated when_allowed", pairing: "client_outdated never" },
  406: { paired: "blocked never", pairing: "blocked never" },
  411: { paired: "blocked never", pairing: "blocked never" },
  419: { paired: "logged_out never", pairing: "logged_out never" },
  440: { paired: "replaced once", pairing: "pairing_expired never" },
  515: { paired: "lost at_once", pairing: "lost at_once" },
};
const TEMPORARY = { paired: "lost backoff", pairing: "pairing_expired never" };

function shown({ reason, reconnect }: Reaction): string {
  return `${reason} ${reconnect}`;
}

function closedBy(code: number | null, deviceRemoved: boolean): Closer {
  return { by: "whatsapp", code, deviceRemoved };
}

test("every code has its reaction, for paired phones and in a pairing", () => {
  for (const code of [null, -1, ...Array.from({ length: 1_000 }, (_, n) => n)]) {
    const meaning = (code === null ? undefined : MEANINGS[code]) ?? TEMPORARY;
    expect(shown(reactionTo(closedBy(code, false), false)), `code ${code}`).toBe(meaning.paired);
    expect(shown(reactionTo(closedBy(code, false), true)), `pairing ${code}`).toBe(meaning.pairing);
  }
});

test("a phone that removed us is logged out, whatever the code says", () => {
  for (const code of [null, 401, 405, 428, 440, 503, 515]) {
    for (const pairing of [true, false]) {
      const reaction = reactionTo(closedBy(code, true), pairing);
      expect(shown(reaction)).toBe("logged_out never");
      expect(reaction.byWhatsApp).toBe(true);
    }
  }
});

test("a paired phone is given up only where a retry cannot help, and tried on everywhere else", () => {
  const givenUp = Array.from({ length: 1_000 }, (_, code) => code).filter(
    (code) => reactionTo(closedBy(code, false), false).reconnect === "never",
  );
  expect(givenUp).toEqual([401, 402, 403, 406, 411, 419]);
});

test("what we end ourselves has its reason, and is never WhatsApp's doing", () => {
  const expected: Record<Exclude<Closer["by"], "whatsapp">, [paired: string, pairing: string]> = {
    watchdog: ["lost backoff", "pairing_expired never"],
    lease: ["lost when_allowed", "lost when_allowed"],
    bridge: ["lost when_allowed", "lost when_allowed"],
    store: ["store_error never", "store_error never"],
    stop: ["stopped never", "stopped never"],
  };
  for (const by of ["watchdog", "lease", "bridge", "store", "stop"] as const) {
    const reactions = [reactionTo({ by }, false), reactionTo({ by }, true)];
    expect(reactions.map(shown)).toEqual(expected[by]);
    for (const { byWhatsApp, reason } of reactions) {
      expect(byWhatsApp).toBe(false);
      expect(closeReasons).toContain(reason);
    }
  }
});
