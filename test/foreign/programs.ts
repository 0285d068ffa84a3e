import { spawnSync } from "node:child_process";
import { createClient } from "@libsql/client";
import { python } from "../helpers/python.ts";

/** Another program that writes SQLite files with a library of its own. */
export interface Program {
  readonly name: string;
  /** Why it cannot be used here, or undefined. */
  readonly missing: string | undefined;
  /** Runs statements one by one, each of which may be refused, and tells how many were. */
  run(file: string, statements: readonly string[]): number | Promise<number>;
}

const input = (statements: readonly string[]) => JSON.stringify(statements);

const PYTHON = `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
refused = 0
for statement in json.load(sys.stdin):
    try:
        db.execute(statement)
    except sqlite3.IntegrityError:
        refused += 1
    except sqlite3.OperationalError as error:
        # What has ended its own transaction, or none that was open.
        if "transaction" not in str(error) and "savepoint" not in str(error): raise
        refused += 1
db.close()
print(refused)
`;

function missing(command: string, args: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) return `${command} is not installed`;
  return /\b3\.(3[7-9]|[4-9]\d|\d{3,})/.test(stdout)
    ? undefined
    : `the SQLite of ${command} is older than 3.37: ${stdout.trim()}`;
}

const hasFts5 = "CREATE VIRTUAL TABLE temp.f USING fts5(x); SELECT sqlite_version();";

export const PROGRAMS: readonly Program[] = [
  {
    name: "the sqlite3 shell",
    missing: missing("sqlite3", [":memory:", hasFts5]),
    run(file, statements) {
      const script = [".timeout 10000", ...statements.map((sql) => `${sql};`)].join("\n");
      const { stderr } = spawnSync("sqlite3", [file], { input: script, encoding: "utf8" });
      const errors = stderr.split("\n").filter((line) => line !== "");
      const strange = errors.filter((line) => !/constraint|transaction|savepoint/i.test(line) && /error/i.test(line));
      if (strange.length > 0) throw new Error(strange.join("\n"));
      return errors.length;
    },
  },
  {
    name: "Python's sqlite3",
    missing: missing(python, [
      "-ISc",
      "import sqlite3; sqlite3.connect(':memory:').execute('create virtual table f using fts5(x)'); print(sqlite3.sqlite_version)",
    ]),
    run(file, statements) {
      const { status, stdout, stderr } = spawnSync(python, ["-ISc", PYTHON, file], {
        input: input(statements),
        encoding: "utf8",
      });
      if (status !== 0) throw new Error(stderr);
      return Number(stdout);
    },
  },
  {
    name: "libSQL",
    missing: undefined,
    async run(file, statements) {
      const client = createClient({ url: `file:${file}` });
      let refused = 0;
      for (const sql of statements) {
        try {
          await client.execute(sql);
        } catch (error) {
          if (!/constraint|transaction|savepoint/i.test((error as Error).message)) throw error;
          refused++;
        }
      }
      client.close();
      return refused;
    },
  },
];
