/** How much of a request of the old API is read at all. */
import { describe, expect, it } from "vitest";
import { parseSend } from "../../src/api/legacy/request.ts";

const caller = { apikey: "0".repeat(32), waid: "K7M2QX" };
const packet = { number: "081310001001", message: "Pesanan Anda sudah dikirim." };

describe("a request with more packets than are taken", () => {
  it("is counted whole and read no further", () => {
    const datapacket = Array.from({ length: 900 }, () => packet);
    const parsed = parseSend(JSON.stringify({ ...caller, datapacket }));
    const packets = parsed.ok ? parsed.value.packets : [];
    expect(packets).toHaveLength(900);
    expect(packets.filter((one) => one.packet.ok)).toHaveLength(5);
  });
});

describe("a number where a text is meant", () => {
  it("is kept as it was written, in any field that is read", () => {
    const json = `{"apikey":1.50,"waid":20211,"datapacket":[{"number":12.50,"message":12345678901234567890},
      {"number":6281310001001,"message":"x","sendingdatetime":1e400}],"other":[0.10]}`;
    const parsed = parseSend(json);
    expect(parsed).toMatchObject({
      ok: true,
      value: {
        apiKey: null,
        waid: "20211",
        packets: [{ written: "12.50" }, { written: "6281310001001", packet: { ok: false } }],
      },
    });
  });
});
