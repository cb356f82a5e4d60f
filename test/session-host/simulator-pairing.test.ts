/** The simulator links, logs in and unlinks the real client, and refuses what a real server refuses. */

import { initAuthCreds } from "@whiskeysockets/baileys";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SimulatorBed } from "./support/simulator-bed.ts";

let bed: SimulatorBed;

beforeAll(async () => {
  bed = await SimulatorBed.start();
});

afterAll(() => bed.close());

test("a client paired by QR is logged in, has its phone's name and has stocked its keys", async () => {
  const number = bed.number();
  await bed.post(`/phones/${number}`, { name: "Toko Melati" });
  const { client } = await bed.linked(number);
  expect(client.creds.me?.id).toBe(`${number}:1@s.whatsapp.net`);
  expect(client.creds.me?.lid).toMatch(/^\d+:1@lid$/);
  const { preKeyUploads } = await bed.evidence();
  expect(preKeyUploads).toContainEqual({ device: `${number}:1@s.whatsapp.net`, count: 812 });
  await expect.poll(() => client.creds.me?.name).toBe("Toko Melati");
});

test("a QR code whose keys are not the connection's is refused", async () => {
  const client = bed.client();
  client.connect();
  const { qr } = await client.until("qr");
  const [head = "", ref = "", , identity, secret, platform] = qr.replace("#", ",").split(",");
  const stranger = Buffer.from(initAuthCreds().noiseKey.public).toString("base64");
  const forged = `${head}#${[ref, stranger, identity, secret, platform].join(",")}`;
  expect(await bed.post(`/phones/${bed.number()}/scan`, { qr: forged })).toEqual({
    status: 409,
    body: { error: "qr_keys_differ" },
  });
  expect((await bed.post(`/phones/${bed.number()}/scan`, { qr: "hello" })).body).toEqual({
    error: "qr_unreadable",
  });
  expect(
    (await bed.post(`/phones/${bed.number()}/scan`, { qr: qr.replace(ref, "2@nobody") })).body,
  ).toEqual({ error: "qr_expired" });
  const outsider = bed.number();
  await bed.post(`/phones/${outsider}`, { registered: false });
  expect((await bed.post(`/phones/${outsider}/scan`, { qr })).body).toEqual({
    error: "number_not_registered",
  });
});

test("a client paired by code is logged in, after a mistyped code was refused", async () => {
  const number = bed.number();
  const client = bed.client();
  client.connect();
  await client.until("qr");
  const code = await client.socket.requestPairingCode(number);
  await bed.event("code_requested", number);
  const wrong = code === "AAAAAAAA" ? "BBBBBBBB" : "AAAAAAAA";
  expect((await bed.post(`/phones/${number}/link-code`, { code: wrong })).body).toEqual({
    error: "code_wrong",
  });
  const typed = `${code.slice(0, 4)}-${code.slice(4).toLowerCase()}`;
  expect((await bed.post(`/phones/${number}/link-code`, { code: typed })).status).toBe(200);
  await client.until("open");
  expect(client.creds.me?.id).toMatch(new RegExp(`^${number}:\\d+@s\\.whatsapp\\.net$`));
});

test("a code for a number nobody asked a code for is refused", async () => {
  expect((await bed.post(`/phones/${bed.number()}/link-code`, { code: "ABCDEFGH" })).body).toEqual({
    error: "no_code_requested",
  });
});

test("a login with another Noise key than the paired one fails with 401", async () => {
  const { client, number } = await bed.linked();
  await client.end();
  const impostor = bed.own(client.clone());
  impostor.creds = { ...impostor.creds, noiseKey: initAuthCreds().noiseKey };
  impostor.connect();
  expect((await impostor.until("closed")).code).toBe(401);
  const { logins } = await bed.evidence();
  expect(logins.findLast((login) => login.number === number)?.outcome).toBe("other noise key");
});

test("unlinking on the phone ends the session with device_removed and later logins with 401", async () => {
  const { client, number } = await bed.linked();
  await bed.post(`/phones/${number}/unlink`);
  expect(await client.until("closed", ({ code }) => code !== 515)).toEqual({
    kind: "closed",
    code: 401,
    type: "device_removed",
  });
  client.forget();
  client.connect();
  expect((await client.until("closed")).code).toBe(401);
});

test("a client that logs out is no longer linked", async () => {
  const { client, number } = await bed.linked();
  await client.socket.logout();
  await bed.event("unlinked", number);
  expect(await bed.get(`/phones/${number}`)).toMatchObject({ linked: [] });
});
