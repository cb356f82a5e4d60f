/**
 * Typed reads of D1. The paths that must be fast or exact in SQL (accepting, ending) write their statements by
 * hand instead: a statement built by drizzle costs twenty times the raw one, and it has no json_each.
 */
import { drizzle, type DrizzleD1Database } from "drizzle-orm/d1";
import * as schema from "./schema.ts";

export type Books = DrizzleD1Database<typeof schema>;

export function books(db: D1Database): Books {
  return drizzle(db, { schema });
}
