/** Which webhook addresses are refused, in which words, and which are not. */
import { describe, expect, it } from "vitest";
import { checkWebhookUrl, type WebhookUrlRules } from "../../src/domain/webhook-url.ts";

const STRICT: WebhookUrlRules = {
  allowHttp: false,
  allowLoopback: false,
  ownHosts: ["kabar.firm.co.id"],
};

function sentenceFor(url: string, change: Partial<WebhookUrlRules> = {}): string | null {
  const result = checkWebhookUrl(url, { ...STRICT, ...change });
  return result.ok ? null : result.error;
}

describe("a webhook address", () => {
  it("may be any public name over TLS, on the usual ports", () => {
    const good = [
      "https://shop.co.id/webhook.php?key=1",
      "https://SHOP.co.id",
      "https://a.b-c.d_e.example.com:8443/x",
      "https://tokó.id/",
      "https://123.shop.id:443/",
      " https://shop.id:8080/in ",
    ];
    expect(good.map((url) => [url, sentenceFor(url)])).toEqual(good.map((url) => [url, null]));
    expect(checkWebhookUrl("https://SHOP.co.id/a#frag", STRICT)).toEqual({
      ok: true,
      value: "https://shop.co.id/a",
    });
  });

  it("names a host: no spelling of an IP address passes", () => {
    const addresses = [
      "https://10.0.0.1/",
      "https://8.8.8.8/",
      "https://2130706434/",
      "https://0x7f000002/",
      "https://0177.0.0.2/",
      "https://127.2/",
      "https://169.254.169.254/latest/meta-data",
      "https://[::2]/",
      "https://[::ffff:10.0.0.1]/",
      "https://[fd00::1]/",
      "https://1.1.1.1./",
      "https://①②.③④.⑤.⑥/",
    ];
    for (const url of addresses) expect(sentenceFor(url), `for ${url}`).not.toBeNull();
    expect(sentenceFor("https://3232235777/")).toBe("The URL must name a host, not an IP address.");
  });

  it("does not point to this machine, unless a local start says so", () => {
    const own = [
      "http://localhost:9/",
      "http://127.0.0.1:4711/x",
      "http://[::1]/",
      "http://0x7f.1/",
    ];
    for (const url of own) {
      expect(sentenceFor(url, { allowHttp: true }), `for ${url}`).toContain("this machine");
      expect(sentenceFor(url, { allowHttp: true, allowLoopback: true }), `for ${url}`).toBeNull();
      expect(sentenceFor(url, { allowLoopback: true }), `for ${url}`).toContain("https://");
    }
    expect(sentenceFor("https://0.0.0.0/", { allowLoopback: true })).not.toBeNull();
    expect(sentenceFor("https://127.0.0.2/", { allowLoopback: true })).not.toBeNull();
  });

  it("is public: names of private networks and single labels are refused", () => {
    const inner = [
      "https://intranet/",
      "https://db.internal/",
      "https://printer.local/",
      "https://foo.localhost/",
      "https://router.home.arpa/",
      "https://nas.lan/",
      "https://shop.co.id./",
      "https://shop..id/",
      "https://-shop.id/",
      "https://shop.i-d/",
    ];
    for (const url of inner) expect(sentenceFor(url), `for ${url}`).not.toBeNull();
  });

  it("is not this gateway itself", () => {
    expect(sentenceFor("https://kabar.firm.co.id/sms/")).toContain("this gateway");
    expect(sentenceFor("https://x.kabar.firm.co.id/")).toContain("this gateway");
    expect(sentenceFor("https://notkabar.firm.co.id/")).toBeNull();
  });

  it("needs TLS unless the endpoint has the tick, and carries neither password nor odd port", () => {
    expect(sentenceFor("http://shop.id/")).toContain("https://");
    expect(sentenceFor("http://shop.id/", { allowHttp: true })).toBeNull();
    expect(sentenceFor("ftp://shop.id/", { allowHttp: true })).toContain("https://");
    expect(sentenceFor("https://user:pw@shop.id/")).toContain("password");
    expect(sentenceFor("https://shop.id:22/")).toContain("port");
    expect(sentenceFor("https://shop.id:6379/")).toContain("port");
    expect(sentenceFor("shop.id/webhook")).toContain("https://");
    expect(sentenceFor("")).toContain("https://");
    expect(sentenceFor(`https://shop.id/${"a".repeat(3_000)}`)).toContain("longer");
  });
});
