import type { Client } from "@libsql/client";
import type BetterSqlite3 from "better-sqlite3";
import { relations } from "drizzle-orm";
import { drizzle as drizzleBetter } from "drizzle-orm/better-sqlite3";
import { drizzle as drizzleLibsql } from "drizzle-orm/libsql";
import { docs, parts } from "./schema.ts";

declare const betterClient: BetterSqlite3.Database;
declare const libsqlClient: Client;

const docsRelations = relations(docs, ({ many }) => ({ parts: many(parts) }));
const partsRelations = relations(parts, ({ one }) => ({
  doc: one(docs, { fields: [parts.doc], references: [docs.course] }),
}));

/** Databases that know no tables. */
export const sync = drizzleBetter(betterClient);
export const async = drizzleLibsql(libsqlClient);

/** Databases that know the tables. */
const schema = { docs, parts, docsRelations, partsRelations };
export const syncWithTables = drizzleBetter(betterClient, { schema });
export const asyncWithTables = drizzleLibsql(libsqlClient, { schema });
