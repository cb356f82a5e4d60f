/** What the simulator checks of a client's bytes and signatures, apart from any one flow. */

import { generateKeyPairSync } from "node:crypto";
import { initAuthCreds } from "@whiskeysockets/baileys";
import { expect, test } from "vitest";
import { silenceLibsignal } from "../../session-host/simulator/console-filter.ts";
import { generateKeyPair, sign, verify } from "../../session-host/simulator/curve.ts";
import { FrameError, FrameReader, INTRO } from "../../session-host/simulator/frames.ts";
import { SimulatorBed } from "./support/simulator-bed.ts";

const frameOf = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0, 0, text.length]), Buffer.from(text)]);

test("frames are found whatever slices the bytes come in", () => {
  const preamble = Buffer.concat([
    Buffer.from("ED"),
    Buffer.from([0, 1, 0, 0, 3]),
    Buffer.from("abc"),
  ]);
  const stream = Buffer.concat([preamble, INTRO, frameOf("one"), frameOf(""), frameOf("three")]);
  const reader = new FrameReader();
  const byByte = [...stream].flatMap((byte) => reader.push(Buffer.from([byte])));
  expect(byByte.map(String)).toEqual(["one", "", "three"]);
  expect(new FrameReader().push(stream).map(String)).toEqual(["one", "", "three"]);
});

test("bytes of another protocol are refused", () => {
  expect(() => new FrameReader().push(Buffer.from("GET / HTTP/1.1"))).toThrow(FrameError);
});

test("a signature by another key, over another message or of another length is wrong", () => {
  const pair = generateKeyPair();
  const message = Buffer.from("message");
  const signature = sign(pair.privateKey, message);
  expect(verify(pair.publicKey, message, signature)).toBe(true);
  expect(verify(generateKeyPair().publicKey, message, signature)).toBe(false);
  expect(verify(pair.publicKey, Buffer.from("massage"), signature)).toBe(false);
  expect(verify(pair.publicKey, message, signature.subarray(1))).toBe(false);
});

test("a client whose signed key is not signed by its identity cannot ask to be linked", async () => {
  const bed = await SimulatorBed.start();
  const client = bed.client();
  const { signedPreKey } = client.creds;
  client.creds = {
    ...client.creds,
    signedPreKey: { ...signedPreKey, signature: initAuthCreds().signedPreKey.signature },
  };
  client.connect();
  expect((await client.until("closed")).code).toBe(400);
  await bed.close();
});

test("a client that signs its link with another key than its identity is not linked", async () => {
  const bed = await SimulatorBed.start();
  const client = bed.client();
  client.connect();
  const { qr } = await client.until("qr");
  const stranger = generateKeyPairSync("x25519")
    .privateKey.export({ format: "der", type: "pkcs8" })
    .subarray(16);
  client.creds.signedIdentityKey.private = stranger;
  const number = bed.number();
  expect((await bed.post(`/phones/${number}/scan`, { qr })).body).toEqual({
    error: "client_signature_wrong",
  });
  expect(await bed.get(`/phones/${number}`)).toMatchObject({ linked: [] });
  expect((await bed.evidence()).wrongSignatures).toEqual([
    "pair-device-sign device_signature_wrong",
  ]);
  await client.end();
  await bed.simulator.close();
});

test("libsignal's printed sessions are dropped, everything else passes", () => {
  const printed: unknown[][] = [];
  const original = console.info;
  console.info = (...values: unknown[]) => void printed.push(values);
  const stop = silenceLibsignal();
  console.info("Closing session:", { privKey: "secret" });
  console.info("ready");
  stop();
  console.info("after");
  console.info = original;
  expect(printed).toEqual([["ready"], ["after"]]);
});
