import type { Client } from "@libsql/client";
import type BetterSqlite3 from "better-sqlite3";
import { defineRelations } from "drizzle-orm";
import { drizzle as drizzleBetter } from "drizzle-orm/better-sqlite3";
import { drizzle as drizzleLibsql } from "drizzle-orm/libsql";
import { docs, parts } from "./schema.ts";

declare const betterClient: BetterSqlite3.Database;
declare const libsqlClient: Client;

/** Databases that know no tables. */
export const sync = drizzleBetter({ client: betterClient });
export const async = drizzleLibsql({ client: libsqlClient });

/** Databases that know the tables. */
const relations = defineRelations({ docs, parts }, (r) => ({
  docs: { parts: r.many.parts({ from: r.docs.course, to: r.parts.doc }) },
}));
export const syncWithTables = drizzleBetter({ client: betterClient, relations });
export const asyncWithTables = drizzleLibsql({ client: libsqlClient, relations });
