/**
 * A mail service's HTTP API, apart from the product: judges each request as Cloudflare documents its own
 * (`POST …/email/sending/send`: bearer token, JSON, sender and recipient as addresses) and keeps what it took.
 */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { z } from "zod";

const mailShape = z.strictObject({
  from: z.email(),
  to: z.email(),
  subject: z.string().min(1).max(998),
  text: z.string().min(1),
});
export type TakenMail = z.infer<typeof mailShape> & { key: string };

const PATH = "/client/v4/accounts/0123456789abcdef/email/sending/send";

export class MailApi {
  readonly token = "mail-token-for-tests";
  readonly taken: TakenMail[] = [];
  /** What was wrong with the requests that were refused. */
  readonly faults: string[] = [];
  /** So many requests are answered 503 first. */
  failures = 0;
  readonly #server = createServer((request, response) => {
    void this.#answer(request, response);
  });

  static async start(): Promise<MailApi> {
    const api = new MailApi();
    await new Promise<void>((resolve) => {
      api.#server.listen(0, "127.0.0.1", resolve);
    });
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${PATH}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const refuse = (status: number, code: number, message: string): void => {
      this.faults.push(message);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ success: false, errors: [{ code, message }], result: null }));
    };
    if (this.failures > 0) {
      this.failures -= 1;
      return refuse(503, 10_001, "email.sending.error.internal_server");
    }
    if (request.method !== "POST" || request.url !== PATH) return refuse(404, 7_003, "no route");
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      return refuse(403, 10_000, "Authentication error");
    }
    const mail = mailShape.safeParse(jsonOf(Buffer.concat(chunks).toString("utf8")));
    if (!mail.success) return refuse(400, 10_002, z.prettifyError(mail.error));
    this.taken.push({ ...mail.data, key: String(request.headers["idempotency-key"] ?? "") });
    const result = { delivered: [mail.data.to], permanent_bounces: [], queued: [] };
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ success: true, errors: [], messages: [], result }));
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
