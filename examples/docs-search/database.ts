import { fileURLToPath } from "node:url";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { migrate } from "drizzle-orm/better-sqlite3/migrator";

export type Db = ReturnType<typeof connect>;
export type Transaction = Parameters<Parameters<Db["transaction"]>[0]>[0];

const MIGRATIONS = fileURLToPath(new URL("../../migrations", import.meta.url));

/** Opens or creates the database file and brings its tables up to date, as drizzle-kit wrote them down in `migrations/`. */
export function openDatabase(file: string) {
  const db = connect(file);
  migrate(db, { migrationsFolder: MIGRATIONS });
  return db;
}

/** The database as it is. */
export function connect(file: string) {
  try {
    const client = new Database(file);
    // Readers go on while another process ingests; a commit need not wait for the disk, and a power cut costs no more than it.
    client.pragma("journal_mode = WAL");
    client.pragma("synchronous = NORMAL");
    return drizzle({ client });
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}. Choose another file with --db.`, { cause: error });
  }
}
