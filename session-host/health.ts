/**
 * `/healthz` and `/metrics` for whoever runs the host. Shows states and counts, nothing of any device. Losing the
 * fleet is shown but is no reason to be restarted: sessions go on without it.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import type { Host } from "./host.ts";
import type { HostMetrics } from "./metrics.ts";

export interface HealthServer {
  port: number;
  close(): Promise<void>;
}

export function startHealth(
  host: Host,
  metrics: HostMetrics,
  address: { port: number; hostname: string },
): Promise<HealthServer> {
  const app = new Hono();
  app.get("/healthz", (c) =>
    c.json({
      status: "ok",
      control_connected: host.controlConnected,
      sessions: Object.fromEntries(host.states()),
    }),
  );
  app.get("/metrics", async (c) =>
    c.body(await metrics.registry.metrics(), 200, { "content-type": metrics.registry.contentType }),
  );
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, ...address }, (info) =>
      resolve({
        port: info.port,
        close: () =>
          new Promise((done) => {
            server.close(() => done());
          }),
      }),
    );
    server.on("error", reject);
  });
}
