/** The Worker's bindings (wrangler.toml) and secrets (README, "Configuration"). */
declare namespace Cloudflare {
  interface Env {
    DB: D1Database;
    DEVICES: DurableObjectNamespace<import("./device/device.ts").Device>;
    FLEET: DurableObjectNamespace<import("./fleet/fleet.ts").Fleet>;
    ENDPOINTS: DurableObjectNamespace<import("./endpoint/endpoint.ts").Endpoint>;
    ALERTS: DurableObjectNamespace<import("./alerts/alerts.ts").Alerts>;
    RESTORE: DurableObjectNamespace<import("./restore/restore.ts").Restore>;
    TOMBSTONES: DurableObjectNamespace<import("./tombstones/tombstones.ts").Tombstones>;
    /** There when the operator has set up Cloudflare's sending of mail. */
    EMAIL?: SendEmail;
    BODY_KEY: string;
    FINGERPRINT_KEY: string;
    OPERATOR_TOKEN_HASH: string;
    SEAL_PROOFS: string;
    KEY_REQUESTS_PER_MINUTE?: string;
    PACING?: string;
    PLAIN_HTTP?: string;
    CLOSES_PER_HOUR_MAX?: string;
    LOGINS_PER_SECOND?: string;
    LOGINS_AT_ONCE?: string;
    FLUSH_DELAY_MS?: string;
    REQUEST_LOG_DELAY_MS?: string;
    WEBHOOK_LOOPBACK?: string;
    WEBHOOK_OWN_HOSTS?: string;
    D1_SIZE_MAX_MB?: string;
    ALERT_WEBHOOK_URL?: string;
    ALERT_WEBHOOK_SECRET?: string;
    ALERT_MAIL_TO?: string;
    MAIL_FROM?: string;
    MAIL_API_URL?: string;
    MAIL_API_TOKEN?: string;
  }
}
