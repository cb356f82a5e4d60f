/** Where drizzle-kit finds the schema and puts migrations; what it cannot express is added there by hand. */
import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: ["./src/db/schema.ts", "./src/db/schema-news.ts"],
  out: "./migrations",
});
