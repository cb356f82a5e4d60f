/** The Worker's bindings (wrangler.toml) and secrets (README, "Configuration"). */
declare namespace Cloudflare {
  interface Env {
    DB: D1Database;
    DEVICES: DurableObjectNamespace<import("./device/device.ts").Device>;
    FLEET: DurableObjectNamespace<import("./fleet/fleet.ts").Fleet>;
    ENDPOINTS: DurableObjectNamespace<import("./endpoint/endpoint.ts").Endpoint>;
    BODY_KEY: string;
    FINGERPRINT_KEY: string;
    OPERATOR_TOKEN_HASH: string;
    SEAL_PROOFS: string;
    KEY_REQUESTS_PER_MINUTE?: string;
    PACING?: string;
    FLUSH_DELAY_MS?: string;
    REQUEST_LOG_DELAY_MS?: string;
    WEBHOOK_LOOPBACK?: string;
    WEBHOOK_OWN_HOSTS?: string;
  }
}
