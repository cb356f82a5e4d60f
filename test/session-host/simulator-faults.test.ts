/** Everything that can go wrong on purpose goes wrong as the real client reports it; state survives a restart. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SimulatorBed } from "./support/simulator-bed.ts";

let bed: SimulatorBed;

beforeAll(async () => {
  bed = await SimulatorBed.start();
});

afterAll(() => bed.close());

test("a second login of the same device ends the first with 440", async () => {
  const { client } = await bed.linked();
  const rival = bed.own(client.clone());
  rival.connect();
  await rival.until("open");
  expect(await client.until("closed", ({ code }) => code !== 515)).toMatchObject({
    code: 440,
    type: "replaced",
  });
});

test.each([
  ["drop", {}, 428],
  ["close", {}, 428],
  ["stream_error", { code: 503 }, 503],
  ["stream_error", { code: 500 }, 500],
  ["replaced", {}, 440],
  ["device_removed", {}, 401],
])("the fault %s %j is reported as %i", async (kind, details, expected) => {
  const { client, number } = await bed.linked();
  client.forget();
  expect((await bed.post("/faults", { kind, account: number, ...details })).body).toEqual({
    connections: 1,
  });
  expect((await client.until("closed")).code).toBe(expected);
});

test("a failed login is reported with its reason, and the next one succeeds", async () => {
  const { client, number } = await bed.linked();
  for (const reason of [401, 403, 405, 503]) {
    await client.end();
    await bed.post("/faults", { kind: "login_failure", account: number, reason });
    client.forget();
    client.connect();
    expect((await client.until("closed")).code).toBe(reason);
  }
  client.forget();
  client.connect();
  await client.until("open");
  expect((await bed.evidence()).loginCounts[number]).toBe(6);
});

test("a slow login comes late but comes", async () => {
  const { client, number } = await bed.linked();
  await client.end();
  client.forget();
  await bed.post("/faults", { kind: "login_delay", account: number, ms: 200 });
  const startMs = Date.now();
  client.connect();
  await client.until("open");
  expect(Date.now() - startMs).toBeGreaterThanOrEqual(200);
});

test("a refused upgrade is answered with its HTTP status, as often as asked for", async () => {
  const { client } = await bed.linked();
  await client.end();
  await bed.post("/faults", { kind: "refuse_upgrade", status: 503 });
  const after = bed.seq;
  client.connect();
  expect(
    await bed.event("fault", "", (event) => event["fault"] === "upgrade_refused", after),
  ).toMatchObject({ status: 503 });
  await client.end();
  client.forget();
  client.connect();
  await client.until("open");
});

test("a server that stops reading leaves queries unanswered until it reads again", async () => {
  const { client, number } = await bed.linked();
  await bed.post("/faults", { kind: "stop_reading", account: number });
  let answered = false;
  const query = client.socket.onWhatsApp(bed.number()).then(() => (answered = true));
  await bed.get("/health");
  expect(answered).toBe(false);
  await bed.post("/faults", { kind: "resume_reading", account: number });
  expect(await query).toBe(true);
});

test("a restarted simulator knows its linked devices, its contacts' sessions, its screens and its backlog", async () => {
  const folder = mkdtempSync(join(tmpdir(), "simulator-"));
  const stateFile = join(folder, "state.json");
  const first = await SimulatorBed.start(stateFile);
  const { client, number } = await first.linked();
  const contact = first.number();
  await first.post(`/phones/${contact}`, { name: "Bu Sari", devices: 2 });
  const before = await client.send(contact, "sebelum");
  await first.event("message", contact, (event) => event["device"] === 1);
  await client.end();
  await first.event("disconnected", number);
  const waiting = await first.post(`/phones/${contact}/send`, { to: number, text: "menunggu" });
  await first.close();

  const second = await SimulatorBed.start(stateFile);
  const again = second.own(client.at(second.simulator.wsUrl));
  again.connect();
  expect(await again.until("text")).toMatchObject({ id: waiting.body["id"], text: "menunggu" });
  expect(await second.shown(contact, before)).toMatchObject({ text: "sebelum", copies: 1 });
  const after = await again.send(contact, "sesudah");
  await second.event("message", contact, (event) => event["id"] === after && event["device"] === 1);
  expect((await second.evidence()).decryptFailures).toBe(0);
  expect(await second.get(`/phones/${contact}`)).toMatchObject({ name: "Bu Sari", devices: 2 });
  await second.close();
  rmSync(folder, { recursive: true });
});

test("control calls that are wrong are refused and change nothing", async () => {
  expect(await bed.post("/phones/abc", { name: "x" })).toEqual({
    status: 400,
    body: { error: "not_a_phone_number" },
  });
  expect((await bed.post("/faults", { kind: "earthquake" })).status).toBe(400);
  expect((await bed.post("/nowhere")).status).toBe(404);
  const form = await fetch(`${bed.simulator.url}/behaviour`, {
    method: "POST",
    body: new URLSearchParams({ read: "hold" }),
  });
  expect(form.status).toBe(415);
  expect(await bed.get("/behaviour")).toMatchObject({ read: "auto" });
});

test("the page is served and may run no script but its own", async () => {
  const page = await fetch(bed.simulator.url);
  expect(await page.text()).toContain("Simulated phones");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self'");
  expect(policy).not.toContain("unsafe-inline");
});

test("events are streamed to whoever listens and can be polled from a position", async () => {
  const after = bed.seq;
  const stop = new AbortController();
  const stream = await fetch(`${bed.simulator.url}/events?after=${after}`, { signal: stop.signal });
  const { number } = await bed.linked();
  const polled = await bed.get<{ last: number; events: { kind: string }[] }>(
    `/events/poll?after=${after}&kind=online&number=${number}&waitMs=5000`,
  );
  expect(polled.events).toMatchObject([{ kind: "online" }]);
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes('"kind":"online"')) text += (await reader?.read())?.value ?? "";
  stop.abort();
  expect(text).toContain("event: simulator");
});
