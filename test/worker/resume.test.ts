/** A paused phone as its owner and the operator see it, and the two ways to resume it. */
import { describe, expect, it, vi } from "vitest";
import { newCustomer, operator, OPERATOR_TOKEN, request } from "./support/harness.ts";
import { pausePhone } from "./support/phone-of.ts";
import { v1 } from "./support/v1.ts";

describe("a paused phone", () => {
  it("says why, and is tried again when its owner says so", async () => {
    const customer = await newCustomer({ status: "unpaired" });
    await pausePhone(customer);
    const path = `/devices/${customer.waid}`;
    const shown = await v1("GET", path, customer.apiKey);
    expect(shown.body).toMatchObject({
      status: "paused",
      paused_reason: "blocked",
      restricted_until: null,
    });
    await vi.waitFor(async () => {
      const { body } = await v1("GET", "/devices", customer.apiKey);
      expect(body["devices"]).toMatchObject([{ status: "paused", paused_reason: "blocked" }]);
    });
    const resumed = await v1("POST", `${path}/resume`, customer.apiKey);
    expect([resumed.status, resumed.body["status"], resumed.body["paused_reason"]]).toEqual([
      200,
      "reconnecting",
      null,
    ]);
    const again = await v1("POST", `${path}/resume`, customer.apiKey);
    expect([again.status, again.body["code"]]).toEqual([409, "device_not_paused"]);
  });

  it("is not resumed by a test key", async () => {
    const customer = await newCustomer();
    await pausePhone(customer);
    const made = await operator<{ api_key: string }>(
      "POST",
      `/accounts/${customer.accountId}/keys`,
      { name: "Uji", mode: "test", any_address: true },
    );
    const path = `/devices/${customer.waid}`;
    expect((await v1("POST", `${path}/resume`, made.api_key)).status).toBe(403);
    const shown = await v1("GET", path, customer.apiKey);
    expect(shown.body).toMatchObject({ status: "paused" });
  });

  it("is resumed by the operator, whoever owns it", async () => {
    const customer = await newCustomer();
    await pausePhone(customer);
    const path = `/devices/${customer.waid}/resume`;
    expect(await operator("POST", path)).toEqual({ waid: customer.waid, status: "reconnecting" });
    const ask = async (to: string) => {
      const answer = await request("POST", `/operator${to}`, { token: OPERATOR_TOKEN });
      return [answer.status, (await answer.json<{ code: string }>()).code];
    };
    expect(await ask(path)).toEqual([409, "device_not_paused"]);
    expect(await ask("/devices/ZZZZZZ/resume")).toEqual([404, "device_unknown"]);
  });
});
