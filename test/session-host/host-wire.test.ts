/**
 * Many texts at once through one phone: their key commits travel together, none waits for another's, and still
 * nothing leaves before its own commit is durable. And what Baileys forgets of a contact is kept.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import { sendCommand, startRig } from "./support/rig.ts";
import type { Rig } from "./support/rig.ts";
import type { FakeDevice } from "./support/fake-device.ts";

const phone = "6281200001111";
const contacts = Array.from({ length: 12 }, (_, index) => `62812000022${10 + index}`);

let rig: Rig;
let device: FakeDevice;
beforeEach(async () => {
  rig = await startRig();
  device = rig.edge.addDevice();
  await rig.pair(device, phone);
});
afterEach(() => rig.close());

interface Evidence {
  messagesById: Record<string, number>;
  keyReuses: number;
  decryptFailures: number;
  stanzas: Record<string, number>;
}

async function evidence(): Promise<Evidence> {
  return (await rig.ask("/evidence")) as Evidence;
}

/** A session with every contact, so that what follows needs no key of theirs. */
async function writeToAll(firstId: number): Promise<void> {
  for (const [index, contact] of contacts.entries()) {
    device.command(sendCommand(firstId + index, contact, `kepada nomor ${index}`));
  }
  await device.until(() => device.factsOf("ack").length >= firstId + contacts.length - 1);
}

test("texts that leave together share key commits, and none leaves before its own is durable", async () => {
  await writeToAll(1);
  const before = await evidence();
  const commits = device.commits.length;
  device.holdCommit = ({ forMessages }) => forMessages.length > 0;
  const commands = contacts.map((contact, index) => sendCommand(100 + index, contact, "bersama"));
  for (const command of commands) device.command(command);
  await device.until(() =>
    device.frames.some(({ t, ...frame }) => t === "keys_commit" && "forMessages" in frame),
  );
  // Two travel at a time; nothing of any message is on the wire meanwhile.
  const held = await evidence();
  expect(Object.keys(held.messagesById)).toEqual(Object.keys(before.messagesById));
  device.releaseCommits();
  await device.until(() => device.factsOf("ack").length === 2 * contacts.length);
  const tagged = device.commits.slice(commits).filter(({ forMessages }) => forMessages.length > 0);
  const named = tagged.flatMap(({ forMessages }) => forMessages.map(({ messageId }) => messageId));
  expect(named.toSorted((a, b) => a - b)).toEqual(commands.map(({ messageId }) => messageId));
  expect(tagged.length).toBeLessThan(contacts.length);
  const { messagesById, keyReuses, decryptFailures } = await evidence();
  expect(commands.map(({ waId }) => messagesById[waId])).toEqual(contacts.map(() => 1));
  expect({ keyReuses, decryptFailures }).toEqual({ keyReuses: 0, decryptFailures: 0 });
});

test("a refused commit keeps back every text behind it", async () => {
  await writeToAll(1);
  device.refuseCommit = ({ forMessages }) => forMessages.length > 0;
  const commands = contacts.map((contact, index) => sendCommand(100 + index, contact, "tidak"));
  for (const command of commands) device.command(command);
  await device.fact("session", ({ state }) => state === "closed");
  const { messagesById } = await evidence();
  expect(commands.filter(({ waId }) => messagesById[waId] !== undefined)).toEqual([]);
});

test("the privacy token of a contact is asked for once, and kept for the next host", async () => {
  await writeToAll(1);
  await device.until(() => tokensStored() === contacts.length);
  const asked = (await evidence()).stanzas["iq set privacy/tokens"];
  await writeToAll(1 + contacts.length);
  await rig.edge.assign(device);
  await device.until(() => device.factsOf("drained").length === 2);
  await writeToAll(1 + 2 * contacts.length);
  expect((await evidence()).stanzas["iq set privacy/tokens"]).toBe(asked);
});

/** Rows of the store are sealed; their names are not. The list of all is one more row. */
function tokensStored(): number {
  return [...device.rows.values()].filter(({ type, id }) => type === "tctoken" && id !== "__index")
    .length;
}
