/**
 * Alerts from the log line to the operator's sinks: told at once, told again until acknowledged, never a storm, and not
 * forgotten by a restart. The sinks are doubles of `fetch` and of the mail binding that keep what they were sent.
 */
import { env, runInDurableObject } from "cloudflare:test";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Alerts } from "../../src/alerts/alerts.ts";
import type { RaisedAlert } from "../../src/alerts/interface.ts";
import { logAlert } from "../../src/domain/log.ts";
import { operator } from "./support/harness.ts";

const START = "2031-03-03T03:14:15Z";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const HOOK = "https://alerts.firm.co.id/kabar";

interface Post {
  url: string;
  headers: Headers;
  body: string;
}

interface ListedAlerts {
  alerts: { id: number; name: string; subject: string | null; count: number }[];
  more: number;
  sinks: { sink: string; configured: boolean; failing_since: string | null }[];
}

const posts: Post[] = [];
const mails: { to: string; subject: string; text: string }[] = [];
let hookStatus = 200;
let objects = 0;
let stub: DurableObjectStub<Alerts>;

/** The mail binding as the platform types it. */
const EMAIL = {
  async send(mail: { to: string; subject: string; text: string }) {
    mails.push(mail);
    return { messageId: "m" };
  },
} as unknown as SendEmail;

const configured = {
  ALERT_WEBHOOK_URL: HOOK,
  ALERT_WEBHOOK_SECRET: SECRET,
  ALERT_MAIL_TO: "oncall@firm.co.id",
  MAIL_FROM: "kabar@firm.co.id",
  EMAIL,
};

beforeEach(() => {
  vi.setSystemTime(START);
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  posts.length = 0;
  mails.length = 0;
  hookStatus = 200;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    posts.push({ url: request.url, headers: request.headers, body: await request.text() });
    return new Response(null, { status: hookStatus });
  });
  objects += 1;
  stub = env.ALERTS.get(env.ALERTS.idFromName(`test-${objects}`));
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A fresh instance of the class on the object's storage, as after a restart, with these sinks. */
async function withAlerts<T>(
  act: (alerts: Alerts) => Promise<T>,
  vars: Partial<Cloudflare.Env> = configured,
): Promise<T> {
  return runInDurableObject(stub, async (_, state) => act(new Alerts(state, { ...env, ...vars })));
}

function raised(name: string, subject = "", count = 1): RaisedAlert {
  return { name, subject, fields: { device: subject }, count };
}

async function raise(...alerts: RaisedAlert[]): Promise<void> {
  await withAlerts(async (object) => {
    await object.raise(alerts);
    await object.alarm();
  });
}

async function passTime(ms: number): Promise<void> {
  vi.setSystemTime(Date.now() + ms);
  await withAlerts(async (object) => object.alarm());
}

function told(post: Post | undefined) {
  const body = JSON.parse(post?.body ?? "{}") as {
    type: string;
    data: { alerts: { name: string; count: number }[]; more: number };
  };
  return { type: body.type, names: body.data.alerts.map(({ name }) => name), more: body.data.more };
}

describe("an alert", () => {
  it("is told at once, signed as customers' webhooks are, and by mail", async () => {
    await raise(raised("the books do not agree", "what=accounts"));
    expect(posts).toHaveLength(1);
    const [post] = posts;
    expect(post?.url).toBe(HOOK);
    const verified = new Webhook(SECRET).verify(
      post?.body ?? "",
      Object.fromEntries(post?.headers ?? []),
    );
    expect(verified).toMatchObject({
      type: "alerts.open",
      data: {
        alerts: [{ name: "the books do not agree", subject: "what=accounts", count: 1 }],
        more: 0,
      },
    });
    expect(mails).toHaveLength(1);
    expect(mails[0]).toMatchObject({
      from: "kabar@firm.co.id",
      to: "oncall@firm.co.id",
      subject: "Kabar alert: the books do not agree",
    });
    expect(mails[0]?.text).toContain("the books do not agree (what=accounts)");
  });

  it("is told again, ever more rarely, until it is acknowledged", async () => {
    await raise(raised("session needs a person", "device=a"));
    const toldAt: number[] = [];
    for (let minute = 15; minute <= 3 * 24 * 60; minute += 15) {
      const before = posts.length;
      await passTime(15 * MINUTE_MS);
      if (posts.length > before) toldAt.push(minute);
    }
    expect(toldAt).toEqual([15, 75, 315, 1755, 3195]);
    expect(mails).toHaveLength(posts.length);
    const { alerts } = await withAlerts(async (object) => object.list("open"));
    await withAlerts(async (object) => object.acknowledge([alerts[0]?.id ?? 0]));
    posts.length = 0;
    await passTime(3 * DAY_MS);
    expect(posts).toEqual([]);
    expect(await withAlerts(async (object) => object.list("open"))).toMatchObject({ alerts: [] });
  });

  it("that goes on after it was acknowledged is silent; one that comes back after a quiet time is news", async () => {
    await raise(raised("messages past their last moment"));
    await withAlerts(async (object) => object.acknowledge(null));
    posts.length = 0;
    for (let hour = 0; hour < 24; hour += 1) {
      vi.setSystemTime(Date.now() + HOUR_MS);
      await raise(raised("messages past their last moment"));
    }
    expect(posts).toEqual([]);
    vi.setSystemTime(Date.now() + 7 * HOUR_MS);
    await raise(raised("messages past their last moment"));
    expect(posts).toHaveLength(1);
    expect(JSON.parse(posts[0]?.body ?? "")).toMatchObject({ data: { alerts: [{ count: 1 }] } });
  });

  it("that never ends is opened again after a week, acknowledged or not", async () => {
    await raise(raised("messages past their last moment"));
    await withAlerts(async (object) => object.acknowledge(null));
    posts.length = 0;
    for (let hour = 0; hour < 7 * 24; hour += 4) {
      vi.setSystemTime(Date.now() + 4 * HOUR_MS);
      await raise(raised("messages past their last moment"));
    }
    expect(posts).toEqual([]);
    vi.setSystemTime(Date.now() + 4 * HOUR_MS);
    await raise(raised("messages past their last moment"));
    expect(posts).toHaveLength(1);
  });
});

describe("a storm", () => {
  it("of one kind is one alert with a count, and of many devices twenty and the rest together", async () => {
    const many = Array.from({ length: 90 }, (_, n) => raised("session needs a person", `d=${n}`));
    await raise(...many);
    const { alerts } = await withAlerts(async (object) => object.list("open"));
    expect(alerts).toHaveLength(21);
    expect(alerts.find(({ subject }) => subject === "others")).toMatchObject({ count: 70 });
    expect(posts).toHaveLength(1);
    expect(told(posts[0])).toMatchObject({ more: 1 });
    expect(told(posts[0]).names).toHaveLength(20);
  });

  it("of a thousand kinds in an hour is six mails and stays within its rows", async () => {
    for (let minute = 0; minute < 55; minute += 1) {
      vi.setSystemTime(Date.now() + MINUTE_MS);
      const kinds = Array.from({ length: 20 }, (_, n) => raised(`kind ${minute} ${n}`));
      await raise(...kinds);
    }
    expect(mails.length).toBeLessThanOrEqual(7);
    expect(mails.length).toBeGreaterThanOrEqual(5);
    const { alerts, more } = await withAlerts(async (object) => object.list("open"));
    expect(alerts.length + more).toBe(1_000);
  }, 60_000);
});

describe("a sink", () => {
  it("that fails is tried again with backoff under the same id, and nothing is lost meanwhile", async () => {
    hookStatus = 503;
    await raise(raised("first"));
    await withAlerts(async (object) => object.raise([raised("second")]));
    for (let n = 0; n < 40; n += 1) await passTime(30_000);
    const ids = new Set(posts.map(({ headers }) => headers.get("webhook-id")));
    expect(ids.size).toBe(1);
    expect(posts.length).toBeGreaterThan(5);
    expect(posts.length).toBeLessThan(20);
    const view = await withAlerts(async (object) => object.list("open"));
    expect(view.channels).toMatchObject([
      { channel: "webhook", failingSinceMs: Date.parse(START) },
      { channel: "mail", failingSinceMs: null },
    ]);
    hookStatus = 200;
    posts.length = 0;
    for (let n = 0; n < 30; n += 1) await passTime(30_000);
    expect(posts.flatMap((post) => told(post).names).slice(0, 2)).toEqual(["first", "second"]);
  });

  it("that was away for hours hears what stands open then, not an old letter", async () => {
    hookStatus = 500;
    await raise(raised("first"));
    for (let n = 0; n < 12; n += 1) await passTime(10 * MINUTE_MS);
    await withAlerts(async (object) => {
      await object.acknowledge(null);
      await object.raise([raised("second")]);
    });
    hookStatus = 200;
    posts.length = 0;
    await passTime(30 * MINUTE_MS);
    expect(posts.map((post) => told(post).names)).toEqual([["second"]]);
  });

  it("that is not configured costs nothing, and is told as soon as it is", async () => {
    await withAlerts(async (object) => {
      await object.raise([raised("first")]);
      await object.alarm();
    }, {});
    expect([posts.length, mails.length]).toEqual([0, 0]);
    await passTime(MINUTE_MS);
    expect([posts.length, mails.length]).toEqual([1, 1]);
  });

  it("is not told twice of what it heard before a restart", async () => {
    await raise(raised("first"));
    await withAlerts(async (object) => object.alarm());
    await passTime(MINUTE_MS);
    expect([posts.length, mails.length]).toEqual([1, 1]);
  });
});

describe("what is logged as an alert", () => {
  it("stands in the operator's list, counted, and is acknowledged there", async () => {
    const device = "d".repeat(32);
    for (let n = 0; n < 3; n += 1) {
      logAlert("session needs a person", { device, reason: "blocked" });
      vi.setSystemTime(Date.now() + 11_000);
    }
    const list = await vi.waitFor(async () => {
      const found = await operator<ListedAlerts>("GET", "/alerts");
      const mine = found.alerts.find(({ subject }) => subject === `device=${device}`);
      expect(mine).toMatchObject({ name: "session needs a person", count: 3 });
      return { ...found, mine };
    }, 5_000);
    expect(list.sinks).toMatchObject([
      { sink: "webhook", configured: false },
      { sink: "mail", configured: false },
    ]);
    const id = list.mine?.id ?? 0;
    expect(await operator("POST", "/alerts/acknowledge", { ids: [id] })).toEqual({
      acknowledged: 1,
    });
    const after = await operator<ListedAlerts>("GET", "/alerts");
    expect(after.alerts.some((alert) => alert.id === id)).toBe(false);
    const all = await operator<ListedAlerts>("GET", "/alerts?all=1");
    expect(all.alerts.some((alert) => alert.id === id)).toBe(true);
  });

  it("can be tried out by the operator", async () => {
    await operator("POST", "/alerts/test");
    await vi.waitFor(async () => {
      const { alerts } = await operator<ListedAlerts>("GET", "/alerts");
      expect(alerts.map(({ name }) => name)).toContain("test of the alerts");
    }, 5_000);
  });
});
