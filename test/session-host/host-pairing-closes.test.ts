/**
 * A pairing whose connection ends because lease or bridge are gone. A double of WhatsApp stands under the link and says
 * when a phone was scanned; judged by the facts that the link reports and by what it connects with.
 */
import { expect, test, vi } from "vitest";
import type { Fact } from "../../src/bridge/device-frames.ts";
import { createLog } from "../../session-host/log.ts";
import { LoginWaves } from "../../session-host/login-waves.ts";
import { createMetrics } from "../../session-host/metrics.ts";
import { reconnectDefaults } from "../../session-host/reconnect.ts";
import type { KeyStore } from "../../session-host/store.ts";
import { WhatsAppLink } from "../../session-host/whatsapp-link.ts";
import type { ConnectOptions, Credentials, WhatsApp } from "../../session-host/whatsapp.ts";

const PHONE = "6281100000001";

function rig() {
  let wallMs = 1_000_000;
  const clock = { wallMs: () => wallMs, monotonicMs: () => wallMs };
  const linked = new Set<Credentials>();
  const connects: ConnectOptions[] = [];
  const codes: string[] = [];
  const whatsApp: WhatsApp = {
    version: "1.2.3",
    freshCredentials: () => ({}) as Credentials,
    loadCredentials: async () => null,
    phoneOf: () => PHONE,
    isLinked: (credentials) => linked.has(credentials),
    newMemory: () => ({ memory: "device" }),
    connect: (options) => {
      connects.push(options);
      return {
        send: () => Promise.reject(new Error("not asked for")),
        checkNumber: () => Promise.reject(new Error("not asked for")),
        typing: () => Promise.reject(new Error("not asked for")),
        requestPairingCode: async (phone) => {
          codes.push(phone);
          return "ABCD2345";
        },
        askRestriction: () => undefined,
        unlink: async () => undefined,
        end: () => undefined,
      };
    },
  };
  const facts: Fact[] = [];
  const link = new WhatsAppLink(
    {
      clock,
      random: () => 0.5,
      log: createLog("silent"),
      metrics: createMetrics(),
      raiseAlert: () => undefined,
      whatsApp,
      waves: new LoginWaves(clock),
      reconnect: reconnectDefaults,
      over: new AbortController().signal,
      mayAct: () => true,
      onClientRefused: () => undefined,
      confirmedSince: () => true,
      sentText: async () => null,
      report: (fact) => facts.push(fact),
    },
    { failure: null } as KeyStore,
    [],
  );
  /** The next connection that the link opens. */
  const connected = async (): Promise<ConnectOptions> => {
    const before = connects.length;
    await vi.waitFor(() => {
      wallMs += 1_000;
      link.watch();
      expect(connects.length).toBeGreaterThan(before);
    });
    const newest = connects.at(-1);
    if (newest === undefined) throw new Error("nothing was connected");
    return newest;
  };
  const kinds = () =>
    facts.flatMap((fact) => (fact.kind === "session" ? [fact.state as string] : [fact.kind]));
  return { link, linked, codes, connected, kinds };
}

test.each(["lease", "bridge"] as const)(
  "a code is asked for anew, with new credentials, after the %s was lost",
  async (by) => {
    const { link, codes, connected, kinds } = rig();
    const connecting = connected();
    link.pair(PHONE);
    const first = await connecting;
    first.handlers.onQr("ref-1");
    await vi.waitFor(() => expect(kinds()).toContain("pairing_code"));
    const again = connected();
    link.close({ by });
    const second = await again;
    expect(second.credentials).not.toBe(first.credentials);
    second.handlers.onQr("ref-2");
    await vi.waitFor(() => expect(codes).toEqual([PHONE, PHONE]));
    link.close({ by: "stop" });
  },
);

test("a phone that was scanned just before the bridge was lost is paired, and logs in as what it is", async () => {
  const { link, linked, connected, kinds } = rig();
  const connecting = connected();
  link.pair(null);
  const first = await connecting;
  linked.add(first.credentials);
  const again = connected();
  link.close({ by: "bridge" });
  const second = await again;
  expect(second.credentials).toBe(first.credentials);
  // The device has the keys only now.
  second.handlers.onOpen();
  first.handlers.onPaired({ phone: PHONE, lid: null, platform: null });
  expect(kinds()).toEqual(["connecting", "closed", "connecting", "open", "paired", "open"]);
  expect(link.phone).toBe(PHONE);
  link.close({ by: "stop" });
});

test("what is heard late of a run that was given up pairs nothing", async () => {
  const { link, connected, kinds } = rig();
  const connecting = connected();
  link.pair(null);
  const first = await connecting;
  const again = connected();
  link.close({ by: "lease" });
  await again;
  first.handlers.onPaired({ phone: PHONE, lid: null, platform: null });
  expect(kinds()).not.toContain("paired");
  link.close({ by: "stop" });
});
