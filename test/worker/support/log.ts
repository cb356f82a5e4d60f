/** Reading the request log as a customer does. Lines are written after the answer, so they are waited for. */
import { expect, vi } from "vitest";
import { request } from "./harness.ts";

export interface LoggedRequest {
  id: string;
  at: string;
  address: string | null;
  key: { id: number; prefix: string; name: string };
  endpoint: string;
  code: string;
  refusals: {
    code: string;
    reason: string;
    count: number;
    rule: { id: string; en: string } | null;
  }[];
  packets: { accepted: number; refused: number };
  duration_ms: number;
  plain_http: boolean;
}

interface Page {
  requests: LoggedRequest[];
  next_cursor: string | null;
}

export async function logPage(token: string, query = ""): Promise<Page> {
  const response = await request("GET", `/v1/requests${query}`, { token });
  expect(response.status).toBe(200);
  return response.json<Page>();
}

/** The newest lines of the old endpoints, once there are as many. */
export function oldLines(token: string, count: number, query = ""): Promise<LoggedRequest[]> {
  return vi.waitFor(
    async () => {
      const { requests } = await logPage(token, query);
      const old = requests.filter(({ endpoint }) => endpoint.includes("/sms/"));
      expect(old).toHaveLength(count);
      return old;
    },
    { timeout: 5_000, interval: 20 },
  );
}
