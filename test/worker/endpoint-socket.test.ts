/** Deliveries over real sockets, to a server that behaves badly in ways a double cannot. */
import { Webhook } from "standardwebhooks";
import { expect, inject, it } from "vitest";
import {
  attemptsOf,
  inboundEvent,
  newEndpoint,
  ring,
  Sender,
  statusEvent,
  type TestEndpoint,
  viewOf,
} from "./endpoint-support.ts";
import type { ReceivedPost } from "./support/receiver-process.ts";

let names = 0;

async function endpointAt(
  behaviour: string,
  body: Parameters<typeof newEndpoint>[0] = {},
): Promise<{ endpoint: TestEndpoint; received: () => Promise<ReceivedPost[]> }> {
  names += 1;
  const name = `n${names}`;
  const url = `${inject("receiverUrl")}/${behaviour}/${name}`;
  return {
    endpoint: await newEndpoint({ url, allowHttp: true, ...body }),
    received: async () => {
      const response = await fetch(`${inject("receiverUrl")}/log/${name}`);
      return response.json<ReceivedPost[]>();
    },
  };
}

it("reaches a server over the wire: form body, signature and headers as they arrive there", async () => {
  const { endpoint, received } = await endpointAt("ok", {
    body: { format: "form", kind: "inbox" },
  });
  await new Sender(endpoint).send(inboundEvent(1));
  await ring(endpoint);
  const [post] = await received();
  expect([...new URLSearchParams(post?.body)]).toEqual([
    ["waid", "ABC234"],
    ["message", "Halo & selamat pagi, nomor 1 ☕"],
    ["number", "6281234567890"],
  ]);
  expect(post?.headers).toMatchObject({
    "content-type": "application/x-www-form-urlencoded",
    "user-agent": "Kabar/1 (+webhook)",
    "webhook-id": "evt_in_1",
  });
  const webhook = new Webhook(endpoint.secret);
  webhook.verify(post?.body ?? "", post?.headers ?? {}, { jsonParse: false });
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 0 });
});

it("follows no redirect", async () => {
  const { endpoint, received } = await endpointAt("moved");
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  expect(await attemptsOf(endpoint)).toMatchObject([{ outcome: "refused", status: 302 }]);
  expect(await received()).toHaveLength(1);
});

it("takes a connection that is cut before an answer for a failure, and one cut after the status for its status", async () => {
  const cut = await endpointAt("cut");
  await new Sender(cut.endpoint).send(statusEvent(1, "sent"));
  await ring(cut.endpoint);
  expect(await attemptsOf(cut.endpoint)).toMatchObject([{ outcome: "unreachable", status: null }]);
  const half = await endpointAt("half");
  await new Sender(half.endpoint).send(statusEvent(1, "sent"));
  await ring(half.endpoint);
  expect(await attemptsOf(half.endpoint)).toMatchObject([{ outcome: "delivered", status: 200 }]);
});

it("keeps 4 KB of an answer of 10 MB", async () => {
  const { endpoint } = await endpointAt("large");
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  expect(await attemptsOf(endpoint)).toMatchObject([
    { outcome: "delivered", answer: "x".repeat(4_096) },
  ]);
});

it.each([
  ["a port where nobody listens", "http://127.0.0.1:1/in"],
  ["a name that does not exist", "http://hooks.tidak-ada-sama-sekali.co.id/in"],
])("takes %s for a failure like others, and the event waits", async (_what, url) => {
  const endpoint = await newEndpoint({ url, allowHttp: true });
  await new Sender(endpoint).send(statusEvent(1, "sent"));
  await ring(endpoint);
  const [attempt] = await attemptsOf(endpoint);
  expect(attempt).toMatchObject({ outcome: "unreachable", status: null, answer: null });
  expect(attempt?.nextMs).toBeGreaterThan(attempt?.startedMs ?? Number.POSITIVE_INFINITY);
  expect(await viewOf(endpoint)).toMatchObject({ waiting: 1, dead: 0 });
});
