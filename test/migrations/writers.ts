import { execFileSync } from "node:child_process";
import Database from "better-sqlite3";
import { python } from "../helpers/python.ts";

export function writeFromApp(file: string, sql: string): void {
  const database = new Database(file);
  try {
    database.exec(sql);
  } finally {
    database.close();
  }
}

/** Programs that write to the database; only the first knows Drizzle, none needs the library. */
const writers: Record<string, (file: string, sql: string) => void> = {
  "better-sqlite3": writeFromApp,
  "the sqlite3 shell": (file, sql) => void execFileSync("sqlite3", ["-bail", file, sql]),
  "Python's sqlite3": (file, sql) => {
    const script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.executescript(sys.argv[2])\nc.commit()";
    execFileSync(python, ["-ISc", script, file, sql]);
  },
};

/** Those that are installed here. */
export const installedWriters = Object.entries(writers).filter(([name, write]) => {
  try {
    write(":memory:", "SELECT 1");
    return true;
  } catch (error) {
    console.warn(`not tested as a writer: ${name} (${(error as Error).message.split("\n")[0]})`);
    return false;
  }
});
