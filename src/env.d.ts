/** The Worker's bindings (wrangler.toml) and secrets (README, "Configuration"). */
declare namespace Cloudflare {
  interface Env {
    DB: D1Database;
    DEVICES: DurableObjectNamespace<import("./device/device.ts").Device>;
    FLEET: DurableObjectNamespace<import("./fleet/fleet.ts").Fleet>;
    BODY_KEY: string;
    FINGERPRINT_KEY: string;
    OPERATOR_TOKEN_HASH: string;
    SEAL_PROOFS: string;
    PACING?: string;
    FLUSH_DELAY_MS?: string;
  }
}
