/** What a test may choose about a stack; everything has a default that suits a quick test. */
export interface StackOptions {
  /** Session hosts to start with; more can be added. Default 1. */
  hosts?: number;
  /** A wrangler.toml relative to the project, for a Worker of the test's own. Default the project's. */
  configPath?: string;
  /** Another source of the Worker than the configuration names. */
  entry?: string;
  /** Vars and secrets over the defaults (PACING off, FLUSH_DELAY_MS 100). */
  vars?: Record<string, string>;
  /** Environment of every host, such as CAPACITY. */
  hostEnv?: Record<string, string>;
  /** Whether the Worker's schedule runs by itself. Default false: call `product.runCron()`. */
  cron?: boolean;
  /** Whether workerd is started again by itself when it dies. Default false: `crashWorker` starts all of it again. */
  restarts?: boolean;
  /** A WhatsApp to connect to instead of a simulator of the stack's own. */
  whatsAppUrl?: string;
}
