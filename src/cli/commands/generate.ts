import { relative } from "node:path";
import { Command } from "commander";
import pc from "picocolors";
import type { Reference } from "../../migration/recreates.ts";
import { type Config, loadConfig } from "../config.ts";
import { openMemory } from "../database.ts";
import { loadDeclarations } from "../declarations.ts";
import { findKit } from "../kit/find-kit.ts";
import { type Generated, generateMigration } from "../migrations/generate.ts";
import { warn, warnSkipped } from "../report.ts";

/** `drizzle-vector generate`: drizzle-kit's generate, with what the search indexes need in the same migration. */
export function generateCommand(): Command {
  return new Command("generate")
    .description("write the next migration: runs drizzle-kit generate and adds what the search indexes need")
    .option("--config <file>", "drizzle config file")
    .option("--defer-text", "create text indexes empty, for `drizzle-vector rebuild` to fill after the migration")
    .argument("[options...]", "everything else goes to drizzle-kit generate: --name, --custom, --hints, ...")
    .allowUnknownOption()
    .action(async (args: string[], options: { config?: string; deferText?: boolean }) => {
      const config = await loadConfig(process.cwd(), options.config);
      const { root, out, file } = config;
      const wanted = await loadDeclarations(config);
      const generated = await generateMigration({
        wanted,
        kit: findKit(root),
        root,
        out,
        config: relative(root, file),
        args,
        deferText: options.deferText === true,
        print: (output) => process.stdout.write(output),
        open: () => openMemory(config),
      });
      report(config, generated, wanted.length);
    });
}

function report(config: Config, generated: Generated, declared: number): void {
  const { migration, changes, fills, endangered, skipped } = generated;
  warnSkipped(skipped);
  for (const reference of endangered) warnEndangered(reference);
  if (!migration || changes.length === 0) {
    const none = "No schema file exports a search index, nothing to add";
    console.log(declared === 0 ? none : "Search indexes are in step, nothing to add");
    return;
  }
  for (const change of changes) console.log(`${pc.green("+")} ${change}`);
  console.log(`Search indexes are in ${relative(config.root, migration.path)}`);
  for (const index of fills) {
    console.log(
      `${pc.dim("note")} ${index}: the text of every row is indexed while the migration runs, and writers wait (some seconds for 100,000 rows). ` +
        "For a large table undo this migration and run `drizzle-vector generate --defer-text`: it creates the index empty, " +
        "`drizzle-vector rebuild` fills it in slices, and search() throws until then.",
    );
  }
}

function warnEndangered({ table, child, onDelete }: Reference): void {
  const deletes = { CASCADE: "deletes its rows", "SET NULL": "empties it", "SET DEFAULT": "resets it" }[onDelete];
  warn(
    `the migration recreates ${table}, which ${child} refers to with ON DELETE ${onDelete}: run with foreign keys on, it ${deletes ?? "fails"} ` +
      "(the PRAGMA foreign_keys=OFF in it has no effect inside the migrator's transaction, drizzle-orm issue 5782)",
    'switch them off around it: sqlite.pragma("foreign_keys = OFF"); migrate(db, ...); sqlite.pragma("foreign_keys = ON")',
  );
}
