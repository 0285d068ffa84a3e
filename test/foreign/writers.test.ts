import { join } from "node:path";
import Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryFolder } from "../helpers/databases.ts";
import { APP_NAMES, APPS, createApp, randomStatement } from "../reliability/app.ts";
import { seeded } from "../reliability/random.ts";
import { figures, LONG_MS, rounds, SEED } from "../reliability/rounds.ts";
import { expectAnswers, expectInStep } from "../reliability/witness.ts";
import { PROGRAMS } from "./programs.ts";

/** Statements with transactions, savepoints and rollbacks among them. */
function script(random: () => number, app: (typeof APPS)["integer"]): string[] {
  const statements: string[] = [];
  for (let i = 0; i < 8; i++) {
    const some = Array.from({ length: 1 + Math.floor(random() * 5) }, () => randomStatement(random, app));
    const end = random() < 0.3 ? "ROLLBACK" : "COMMIT";
    const inner = ["SAVEPOINT s", randomStatement(random, app), random() < 0.5 ? "ROLLBACK TO s" : "RELEASE s"];
    statements.push(...(random() < 0.5 ? some : ["BEGIN IMMEDIATE", ...some, ...inner, end]));
  }
  return statements;
}

describe.each(PROGRAMS)("$name writes", ({ missing, run }) => {
  describe.each(APP_NAMES)("to an app with %s keys", (name) => {
    test.for([0, 1])(
      "with recursive_triggers = %i: the next question sees all of it",
      { timeout: LONG_MS },
      async (recursive, context) => {
        context.skip(missing !== undefined, missing);
        const app = APPS[name];
        const random = seeded(SEED * 13 + recursive);
        const file = join(temporaryFolder(), "foreign.db");
        createApp(file, name, recursive ? "wal" : "delete");
        // One connection that has been asked before, so that its cache has to follow.
        const client = new Database(file);
        onTestFinished(() => void client.close());
        const handle = { client, db: drizzle({ client }) };
        const counts = { scripts: 0, statements: 0, refused: 0 };
        for (const _ of rounds(3, 0.5 / 12)) {
          expectAnswers(handle, app, 2);
          const statements = [
            `PRAGMA recursive_triggers = ${recursive}`,
            "PRAGMA foreign_keys = ON",
            ...script(random, app),
          ];
          counts.refused += await run(file, statements);
          counts.scripts++;
          counts.statements += statements.length;
          await expectInStep(client, app, 2);
        }
        expect(counts.refused).toBeLessThan(counts.statements / 2);
        figures(`foreign writer, ${name}, recursive_triggers ${recursive}`, counts);
      },
    );
  });

  test("and a copy that it makes by VACUUM INTO is whole", { timeout: 60_000 }, async (context) => {
    context.skip(missing !== undefined, missing);
    const folder = temporaryFolder();
    const [file, copy] = [join(folder, "one.db"), join(folder, "two.db")];
    createApp(file, "text", "delete");
    await run(file, [`VACUUM INTO '${copy}'`]);
    const client = new Database(copy);
    onTestFinished(() => void client.close());
    await expectInStep(client, APPS.text);
  });
});
