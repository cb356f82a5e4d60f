/**
 * The host's counters in Prometheus form. Labels come from closed lists; never a device, a number or an id.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";

export interface HostMetrics {
  registry: Registry;
  sessions: Gauge<"state">;
  sends: Counter<"outcome">;
  closes: Counter<"reason">;
  inbound: Counter;
  commitSeconds: Histogram;
  alerts: Counter<"kind">;
  controlConnected: Gauge;
  loginsWaiting: Gauge;
  loginsStopped: Gauge;
}

export function createMetrics(): HostMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "kabar_host_" });
  return {
    registry,
    sessions: new Gauge({
      name: "kabar_host_sessions",
      help: "Sessions by what their WhatsApp connection does.",
      labelNames: ["state"],
      registers,
    }),
    sends: new Counter({
      name: "kabar_host_sends_total",
      help: "Send commands by how they ended here; unproven ones wait for an ack.",
      labelNames: ["outcome"],
      registers,
    }),
    closes: new Counter({
      name: "kabar_host_closes_total",
      help: "Closed WhatsApp connections by reason.",
      labelNames: ["reason"],
      registers,
    }),
    inbound: new Counter({
      name: "kabar_host_inbound_total",
      help: "Texts stored at the edge.",
      registers,
    }),
    commitSeconds: new Histogram({
      name: "kabar_host_key_commit_seconds",
      help: "From a key commit leaving to its durable acknowledgement.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    alerts: new Counter({
      name: "kabar_host_alerts_total",
      help: "Things a person should look at.",
      labelNames: ["kind"],
      registers,
    }),
    loginsWaiting: new Gauge({
      name: "kabar_host_logins_waiting",
      help: "Sessions that wait for their turn to log in.",
      registers,
    }),
    loginsStopped: new Gauge({
      name: "kabar_host_logins_stopped",
      help: "1 while WhatsApp refuses the client version of this host.",
      registers,
    }),
    controlConnected: new Gauge({
      name: "kabar_host_control_connected",
      help: "1 while the fleet accepts this host.",
      registers,
    }),
  };
}
