/** Mail by the platform's own emulation of its binding, and by an HTTP API as the wire shows it. */
import { env } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { mailerFor, type Mailer } from "../../src/outgoing/mailer.ts";

const MAIL = { id: "mail_1", to: "shop@firm.co.id", subject: "Halo", text: "Selamat pagi" };
const NO_API = { MAIL_API_URL: undefined, MAIL_API_TOKEN: undefined };
const API = { MAIL_API_URL: "https://api.mail.co.id/send", MAIL_API_TOKEN: "secret-token" };

function mailer(
  from: string | undefined,
  binding = env.EMAIL,
  api: typeof API | typeof NO_API = NO_API,
) {
  return mailerFor(binding, { MAIL_FROM: from, ...api }, () => 0);
}

function there(made: Mailer | null): Mailer {
  if (made === null) throw new Error("mail is not configured");
  return made;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("mail by the binding", () => {
  it("is taken from a sender that may use it", async () => {
    expect(await there(mailer("kabar@firm.co.id"))(MAIL)).toEqual({ kind: "taken" });
  });

  it("fails from another sender, and says so without an address", async () => {
    const outcome = await there(mailer("stranger@firm.co.id"))(MAIL);
    expect(outcome.kind).toBe("failed");
    expect(JSON.stringify(outcome)).not.toContain("@");
  });

  it("is refused for good where a later try would be refused as well", async () => {
    const binding = {
      send: async () =>
        Promise.reject(
          Object.assign(new Error("shop@firm.co.id"), { code: "E_RECIPIENT_SUPPRESSED" }),
        ),
    } as unknown as SendEmail;
    expect(await there(mailer("kabar@firm.co.id", binding))(MAIL)).toEqual({
      kind: "refused",
      why: "E_RECIPIENT_SUPPRESSED",
    });
  });
});

describe("mail by an HTTP API", () => {
  it.each([
    [200, "taken"],
    [400, "refused"],
    [422, "refused"],
    [401, "failed"],
    [429, "failed"],
    [503, "failed"],
  ])("that answers %i is %s", async (status, kind) => {
    const sent: Request[] = [];
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      sent.push(new Request(input, init));
      return new Response("{}", { status });
    });
    const outcome = await there(
      mailerFor(undefined, { MAIL_FROM: "kabar@firm.co.id", ...API }, () => 0),
    )(MAIL);
    expect(outcome.kind).toBe(kind);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.headers.get("authorization")).toBe("Bearer secret-token");
    expect(sent[0]?.headers.get("idempotency-key")).toBe("mail_1");
    expect(await sent[0]?.json()).toEqual({
      from: "kabar@firm.co.id",
      to: MAIL.to,
      subject: MAIL.subject,
      text: MAIL.text,
    });
  });
});

it("there is no mail without a sender, nor without a way", () => {
  expect(mailer(undefined)).toBe(null);
  expect(mailerFor(undefined, { MAIL_FROM: "kabar@firm.co.id", ...NO_API }, () => 0)).toBe(null);
});
