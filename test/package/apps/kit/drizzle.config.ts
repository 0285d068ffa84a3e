import { defineConfig } from "drizzle-kit";
import { searchTablesFilter } from "drizzle-vector/kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./migrations",
  tablesFilter: searchTablesFilter(),
  dbCredentials: { url: "app.db" },
});
