import { defineConfig } from "drizzle-kit";
import { searchTablesFilter } from "drizzle-vector/kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./examples/docs-search/schema.ts",
  out: "./migrations",
  dbCredentials: { url: "./examples/docs-search/docs.db" },
  tablesFilter: searchTablesFilter(),
});
