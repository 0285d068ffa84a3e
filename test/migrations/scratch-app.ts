import { execFile, spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import type Database from "better-sqlite3";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { migrate } from "drizzle-orm/better-sqlite3/migrator";
import { npmVersion } from "drizzle-orm/version";
import { build } from "tsdown";
import { test } from "vitest";

const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

export type Line = "0.x" | "1.0";

/** The line of Drizzle this test run is for; `vitest.config.ts` runs every test on both. */
export const tested: Line = npmVersion.startsWith("0.") ? "0.x" : "1.0";

/** `test` where this run is for that line of Drizzle; on the other one there is nothing to test. */
export function testOn(line: Line): (name: string, run: () => Promise<void>) => void {
  return line === tested ? test : () => {};
}

/** Whether questions can be answered here as in a terminal; else tests that need it are skipped. */
export const hasTerminal = existsSync("/usr/bin/script");
if (!hasTerminal) console.warn("not tested: questions in a terminal (needs the `script` command of util-linux)");

export interface Outcome {
  code: number;
  /** What it printed on stdout and stderr, in that order. */
  output: string;
}

/**
 * An application in a folder of its own: the real drizzle-kit and drizzle-orm of the line under test, and drizzle-vector
 * installed as the package it is published as, built from the sources as they are.
 */
export class ScratchApp {
  readonly root: string;
  readonly line: Line;

  private constructor(line: Line) {
    this.root = mkdtempSync(join(tmpdir(), "drizzle-vector-"));
    this.line = line;
  }

  static async create(files: Record<string, string> = {}, line = tested): Promise<ScratchApp> {
    const app = new ScratchApp(line);
    app.write("package.json", '{ "type": "module" }');
    app.write("drizzle.config.ts", CONFIG);
    for (const [name, text] of Object.entries(files)) app.write(name, text);
    linkPackages(app);
    await installLibrary(app.root);
    return app;
  }

  get database(): string {
    return join(this.root, "app.db");
  }

  write(name: string, text: string): void {
    const path = join(this.root, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }

  read(name: string): string {
    return readFileSync(join(this.root, name), "utf8");
  }

  /** The migration files, oldest first, relative to the app. */
  migrations(): string[] {
    const folder = join(this.root, "migrations");
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder)
      .filter((name) => name !== "meta")
      .sort();
    return names.map((name) => (this.line === "0.x" ? `migrations/${name}` : `migrations/${name}/migration.sql`));
  }

  kit(...args: string[]): Promise<Outcome> {
    return this.#node("node_modules/drizzle-kit/bin.cjs", args);
  }

  cli(...args: string[]): Promise<Outcome> {
    return this.#node("node_modules/drizzle-vector/dist/cli.js", args);
  }

  /**
   * `drizzle-vector` in a terminal of its own, through the `script` command; each question gets the second of its answers,
   * which is drizzle-kit's "renamed".
   */
  cliInTerminal(...args: string[]): Promise<Outcome> {
    const command = [process.execPath, "node_modules/drizzle-vector/dist/cli.js", ...args].join(" ");
    const child = spawn("script", ["-qec", command, "/dev/null"], { cwd: this.root });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      // The list is drawn again for every key: only the drawing with the first answer marked is a question.
      if (/❯[^\n]*\+[^\n]*create[^\n]*\n(?![\s\S]*❯)/.test(stripVTControlCharacters(output))) {
        output = "";
        child.stdin.write("\u001b[B");
        setTimeout(() => child.stdin.write("\r"), 200);
      }
    });
    return new Promise((resolve) => child.on("close", (code) => resolve({ code: code ?? -1, output })));
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  #node(script: string, args: string[]): Promise<Outcome> {
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [join(this.root, script), ...args],
        { cwd: this.root, env: { ...process.env, NO_COLOR: "1" } },
        (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
      );
      child.stdin?.end();
    });
  }
}

/** Applies an app's migrations with Drizzle's migrator. */
export function applyMigrations(client: Database.Database, { root }: ScratchApp): void {
  migrate(drizzle({ client }), { migrationsFolder: join(root, "migrations") });
}

const CONFIG = `import { defineConfig } from "drizzle-kit";
import { searchTablesFilter } from "drizzle-vector/kit";
export default defineConfig({
  dialect: "sqlite",
  schema: "./schema.ts",
  out: "./migrations",
  dbCredentials: { url: "app.db" },
  tablesFilter: searchTablesFilter(),
});
`;

/** Links to what the repository has installed; of the two lines of Drizzle, the one under test. */
function linkPackages({ root, line }: ScratchApp): void {
  const drizzle = line === "0.x" ? "node_modules" : "test/drizzle-1.0/node_modules";
  for (const name of ["drizzle-orm", "drizzle-kit"]) link(join(drizzle, name), root, name);
  const { dependencies } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8"));
  for (const name of ["better-sqlite3", "@libsql/client", ...Object.keys(dependencies)])
    link(join("node_modules", name), root, name);
}

function link(from: string, root: string, name: string): void {
  const path = join(root, "node_modules", name);
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(join(REPOSITORY, from), path, "dir");
}

/** A copy, not a link, so that its imports of drizzle-orm find the one of the app. */
async function installLibrary(root: string): Promise<void> {
  const target = join(root, "node_modules", "drizzle-vector");
  mkdirSync(join(target, "dist"), { recursive: true });
  cpSync(join(REPOSITORY, "package.json"), join(target, "package.json"));
  built ??= buildLibrary();
  for (const [name, bytes] of await built) writeFileSync(join(target, "dist", name), bytes);
}

/** The files of `dist`, built once for all apps of a process, from the sources as they are. */
let built: Promise<Map<string, Buffer>> | undefined;

async function buildLibrary(): Promise<Map<string, Buffer>> {
  const outDir = mkdtempSync(join(tmpdir(), "drizzle-vector-dist-"));
  const common = { config: false as const, cwd: REPOSITORY, platform: "node" as const, target: "node20", dts: false };
  const light = { schema: "src/schema.ts", kit: "src/kit.ts" };
  const options = { ...common, outDir, clean: false, fixedExtension: false, logLevel: "silent" as const };
  try {
    await build({ ...options, entry: light, format: "cjs" });
    await build({ ...options, entry: { ...light, cli: "src/cli/cli.ts" }, format: "esm" });
    return new Map(readdirSync(outDir).map((name) => [name, readFileSync(join(outDir, name))]));
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}
