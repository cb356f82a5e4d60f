/** Wipes D1 and every object before each worker test file, and applies the migrations. */
import { applyD1Migrations, env, reset } from "cloudflare:test";

await reset();
await applyD1Migrations(env.DB, env.TEST_MIGRATIONS);
