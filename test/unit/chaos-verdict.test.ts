/** What the chaos run lets pass and what it does not: each way in which a text, a status or a rupiah can be wrong. */
import { describe, expect, it } from "vitest";
import { LoadRecord } from "../chaos/record.ts";
import type { SentText } from "../chaos/record.ts";
import { findWrong } from "../chaos/verdict.ts";
import type { Witnessed } from "../chaos/verdict.ts";
import type { Delivery, Ending, OnScreen, TenantTruth } from "../chaos/witness.ts";

const PHONE = "6281234567100";
const TO = "628131000201";
const TEXT = "pesanan sudah kami kirim 1";

interface Story {
  sent?: Partial<SentText>;
  ending?: Partial<Ending> | null;
  screens?: Partial<OnScreen>[];
  told?: string[];
  truth?: Partial<TenantTruth>;
  refusals?: string[];
  lostAgain?: string[];
}

/** A text that was accepted, arrived, was read, paid and told; but for what the story says. */
function judge({
  sent = {},
  ending = {},
  screens = [{}],
  told,
  truth = {},
  refusals = [],
  lostAgain = [],
}: Story): string[] {
  const record = new LoadRecord();
  const text: SentText = {
    account: 0,
    to: TO,
    text: TEXT,
    flaw: "none",
    dueMs: null,
    codes: [10],
    ids: [41],
    lost: 0,
    cancel: "none",
    ...sent,
  };
  record.sent.push(text);
  const end: Ending | null =
    ending === null
      ? null
      : { id: 41, to: TO, state: "read", reason: null, waId: "3EB0", attempts: 1, ...ending };
  const shown = screens.map((one) => ({
    number: TO,
    from: PHONE,
    text: TEXT,
    waId: "3EB0",
    copies: 1,
    ...one,
  }));
  const types =
    told ?? (end === null ? [] : end.state === "read" ? ["sent", "received", "read"] : [end.state]);
  const seen: Witnessed = {
    tenants: [
      {
        tenant: {
          index: 0,
          customer: { accountId: 1, apiKey: "k", waid: "W", phone: PHONE },
          rupiah: 1_000,
          contacts: [TO],
          stranger: "6281310000000",
          endpointId: "e",
          secret: "s",
          path: "/0",
        },
        endings: end === null ? [] : [end],
        deliveries: types.map((type, at) => delivery(`evt_${at}`, `message.${type}`, { id: "41" })),
        waiting: 0,
        dead: [],
        spentRupiah: shown.length > 0 ? 200 : 0,
        unfed: 0,
        ...truth,
      },
    ],
    screens: shown,
    refusals,
    lostAgain: new Set(lostAgain),
  };
  return findWrong(record, seen);
}

function delivery(id: string, type: string, data: Record<string, unknown>): Delivery {
  return { id, type, data, isTaken: true, isSigned: true };
}

const withdrawn = { state: "cancel", reason: "cancelled_by_customer" };

describe("nothing is wrong", () => {
  const stories: [string, Story][] = [
    ["with a text that arrived once", {}],
    [
      "with several copies of one WhatsApp id",
      { screens: [{ copies: 2 }], ending: { attempts: 2 } },
    ],
    [
      "with a refused text that is nowhere",
      { sent: { codes: [80], ids: [] }, ending: null, screens: [] },
    ],
    [
      "with an unanswered text that is nowhere",
      { sent: { codes: [], ids: [], lost: 3 }, ending: null, screens: [] },
    ],
    ["with an unanswered text that arrived", { sent: { codes: [], ids: [], lost: 3 } }],
    ["with a withdrawn text", { sent: { cancel: "done" }, ending: withdrawn, screens: [] }],
    [
      "with a cancel whose answer was lost",
      { sent: { cancel: "asked" }, ending: withdrawn, screens: [] },
    ],
    [
      "with a text that WhatsApp refused",
      {
        ending: { state: "reject", reason: "account_restricted" },
        screens: [],
        refusals: [`${PHONE} ${TO}`],
      },
    ],
    [
      "with a text whose recipient is not on WhatsApp",
      {
        sent: { flaw: "stranger" },
        ending: { state: "reject", reason: "not_on_whatsapp" },
        screens: [],
      },
    ],
    [
      "with a text that may have left and was never proved, and is not paid",
      { ending: { state: "reject", reason: "no_acknowledgement" }, truth: { spentRupiah: 0 } },
    ],
    [
      "with a text that WhatsApp lost when its reader had asked for it again",
      { ending: { state: "sent" }, screens: [], lostAgain: ["3EB0"], told: ["sent"] },
    ],
    ["with a status that the webhook gave up", { told: [], truth: { dead: ["message:W:41"] } }],
  ];
  it.each(stories)("%s", (_, story) => {
    expect(judge(story)).toEqual([]);
  });
});

describe("it is found", () => {
  const stories: [string, Story, string][] = [
    ["that a text is lost", { screens: [] }, "told as sent, and not on the phone"],
    [
      "that a text is doubled",
      { screens: [{}, { waId: "3EB1" }] },
      "2 times on the phone, under 2 WhatsApp ids",
    ],
    [
      "that a text went astray",
      { screens: [{ number: "628131000202" }] },
      "on a phone that it was not for",
    ],
    [
      "that a refused text arrived",
      { sent: { codes: [90], ids: [] } },
      "refused, and on the phone",
    ],
    [
      "that a withdrawn text arrived",
      { sent: { cancel: "done" }, ending: withdrawn },
      "withdrawn, and on the phone",
    ],
    [
      "that a cancel was not kept",
      { sent: { cancel: "done" } },
      "cancelled, and not so at its device",
    ],
    [
      "that a text was withdrawn by nobody",
      { ending: { state: "cancel", reason: "expired" }, screens: [] },
      "nobody withdrew it",
    ],
    [
      "that a rejection was made up",
      { ending: { state: "reject", reason: "refused_by_whatsapp" }, screens: [] },
      "WhatsApp never said",
    ],
    ["that a message has no end", { ending: { state: "maybe_sent" } }, "not final"],
    [
      "that a device does not know a message",
      { ending: null, screens: [], told: [] },
      "unknown to its device",
    ],
    ["that one request got two ids", { sent: { ids: [41, 42] } }, "accepted under two ids"],
    ["that money does not fit", { truth: { spentRupiah: 400 } }, "paid 400 for 1 texts"],
    ["that a webhook heard of no end", { told: ["sent"] }, "ended read; its webhook was told sent"],
    [
      "that a status went back",
      { told: ["received", "sent", "read"] },
      "its webhook was told received, sent, read",
    ],
    ["that events wait", { truth: { waiting: 2 } }, "2 events neither delivered nor dead"],
    ["that a device keeps events", { truth: { unfed: 1 } }, "has not got"],
  ];
  it.each(stories)("%s", (_, story, what) => {
    expect(judge(story).join("\n")).toContain(what);
  });

  it("that a contact's text was told twice, or never", () => {
    const record = new LoadRecord();
    record.written.push({ account: 0, from: TO, text: "terima kasih" });
    const seen = (deliveries: Delivery[]): Witnessed => ({
      tenants: [
        {
          tenant: {
            index: 0,
            customer: { accountId: 1, apiKey: "k", waid: "W", phone: PHONE },
            rupiah: 0,
            contacts: [],
            stranger: "",
            endpointId: "",
            secret: "",
            path: "",
          },
          endings: [],
          deliveries,
          waiting: 0,
          dead: [],
          spentRupiah: 0,
          unfed: 0,
        },
      ],
      screens: [],
      refusals: [],
      lostAgain: new Set(),
    });
    const told = (id: string) =>
      delivery(id, "message.inbound", { from: TO, text: "terima kasih" });
    expect(findWrong(record, seen([told("a"), told("a")]))).toEqual([]);
    expect(findWrong(record, seen([told("a"), told("b")]))).toHaveLength(1);
    expect(findWrong(record, seen([{ ...told("a"), isTaken: false }]))).toHaveLength(1);
  });
});
